// The errors of this package: one class per stable `code`.

export type ErrorCode =
	| 'ERR_CONFIG'
	| 'ERR_CHECKPOINT'
	| 'ERR_DATA'
	| 'ERR_TOKENIZER'
	| 'ERR_OUT_OF_MEMORY'
	| 'ERR_DEVICE'
	| 'ERR_DISPOSED'
	| 'ERR_ABORTED'
	| 'ERR_NON_FINITE'
	| 'ERR_NATIVE';

/** What every error of this package derives from. `code` is stable; messages may change. */
export class DllmError extends Error {
	readonly code: ErrorCode;

	constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.code = code;
	}
}

/** A wrong option, argument or config file. */
export class ConfigError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_CONFIG', message, options);
	}
}

/** A checkpoint or run folder that is missing, damaged or cannot be written. */
export class CheckpointError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_CHECKPOINT', message, options);
	}
}

/** A dataset, or the text it is made from, that cannot be used. A wrong batch is a ConfigError. */
export class DataError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_DATA', message, options);
	}
}

/** Tokenizer files that cannot be used, or text or ids outside the vocabulary. */
export class TokenizerError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_TOKENIZER', message, options);
	}
}

/** The host or the device has too little memory for the request; the model stays usable. */
export class OutOfMemoryError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_OUT_OF_MEMORY', message, options);
	}
}

/** A device that is absent, unusable or has failed. */
export class DeviceError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_DEVICE', message, options);
	}
}

/** A call on an object after its `dispose()`. */
export class DisposedError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_DISPOSED', message, options);
	}
}

/** A call ended by its `AbortSignal`. */
export class AbortError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_ABORTED', message, options);
	}
}

/** Training met a loss or gradient that is infinite or not a number; the weights are those before that step. */
export class NonFiniteError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_NON_FINITE', message, options);
	}
}

/** The native addon is missing, was refused by the system, or failed in a way that has no other code. */
export class NativeError extends DllmError {
	constructor(message: string, options?: ErrorOptions) {
		super('ERR_NATIVE', message, options);
	}
}

const classes = {
	ERR_CONFIG: ConfigError,
	ERR_CHECKPOINT: CheckpointError,
	ERR_DATA: DataError,
	ERR_TOKENIZER: TokenizerError,
	ERR_OUT_OF_MEMORY: OutOfMemoryError,
	ERR_DEVICE: DeviceError,
	ERR_DISPOSED: DisposedError,
	ERR_ABORTED: AbortError,
	ERR_NON_FINITE: NonFiniteError,
	ERR_NATIVE: NativeError,
} as const satisfies Record<ErrorCode, new (message: string, options?: ErrorOptions) => DllmError>;

// On the prototypes, as built-in errors have it: stack traces then begin with the right name.
for (const type of [DllmError, ...Object.values(classes)]) {
	Object.defineProperty(type.prototype, 'name', {value: type.name, writable: true, configurable: true});
}

/**
 * The typed form of an error that native code threw or rejected with (an `Error` whose `code` is one of ours), with the
 * original as its `cause`. Any other error is returned as it is; what is not an error becomes a `NativeError`.
 */
export function toDllmError(error: unknown): Error {
	if (error instanceof DllmError) return error;
	if (!(error instanceof Error)) return new NativeError(String(error), {cause: error});
	const {code} = error as {code?: unknown};
	if (typeof code !== 'string' || !Object.hasOwn(classes, code)) return error;
	return new classes[code as ErrorCode](error.message, {cause: error});
}
