// How a command ends: exit codes, one clear line for every error, and signals that let the running step finish.
import process from 'node:process';
import {inspect} from 'node:util';

export const exitCodes = {ok: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143} as const;

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
	override readonly name = 'UsageError';
}

/** The command stopped on a signal, after saving what it had to: exit code 130 or 143, nothing is printed. */
export class InterruptedError extends Error {
	override readonly name = 'InterruptedError';
	readonly exitCode: number;

	constructor(exitCode: number) {
		super('interrupted');
		this.exitCode = exitCode;
	}
}

/** Prints what went wrong as one line on standard error and returns the exit code for it. */
export function reportError(error: unknown): number {
	if (error instanceof InterruptedError) return error.exitCode;
	const message = error instanceof Error ? error.message : String(error);
	process.stderr.write(`error: ${message}\n`);
	if (process.env.DLLM_DEBUG) process.stderr.write(`${inspect(error)}\n`);
	return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}

/** What no command has caught ends the process as every other error does. Call once, before anything is run. */
export function handleUncaught(): void {
	// without a listener of its own, a rejected promise that nobody waits for comes here too
	process.on('uncaughtException', error => {
		reportError(error);
		process.exit(exitCodes.failed);
	});
}

/** npm passes on a signal that the terminal or a supervisor has sent to us already: one request arrives twice. */
const SAME_REQUEST_MS = 500;

/**
 * Listens for Ctrl-C and SIGTERM while it is in scope. The first one only raises `signal`, so that the command can
 * finish its step and save; a second one ends the process at once.
 */
export class Interruption {
	readonly #controller = new AbortController();
	readonly #onRequest: (name: string) => void;
	#exitCode: number = exitCodes.ok;
	#signal: {readonly name: string; readonly at: number} | undefined;

	constructor(onRequest: (name: string) => void = () => {}) {
		this.#onRequest = onRequest;
		process.on('SIGINT', this.#onInterrupt);
		process.on('SIGTERM', this.#onTerminate);
	}

	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	get requested(): boolean {
		return this.#controller.signal.aborted;
	}

	get exitCode(): number {
		return this.#exitCode;
	}

	/** Asks for the same orderly end as a signal does; used when the reader of our output has gone. */
	request(exitCode: number): void {
		if (this.requested) return;
		this.#exitCode = exitCode;
		this.#controller.abort();
	}

	throwIfRequested(): void {
		if (this.requested) throw new InterruptedError(this.#exitCode);
	}

	readonly #onInterrupt = (): void => this.#handle('Ctrl-C', exitCodes.interrupted);
	readonly #onTerminate = (): void => this.#handle('SIGTERM', exitCodes.terminated);

	#handle(name: string, exitCode: number): void {
		const first = this.#signal;
		if (first) {
			const isSame = first.name === name && performance.now() - first.at <= SAME_REQUEST_MS;
			if (!isSame) process.exit(exitCode);
			return;
		}

		this.#signal = {name, at: performance.now()};
		this.request(exitCode); // nothing new when the reader of our output had gone: it is being saved already
		this.#onRequest(name);
	}

	[Symbol.dispose](): void {
		process.off('SIGINT', this.#onInterrupt);
		process.off('SIGTERM', this.#onTerminate);
	}
}
