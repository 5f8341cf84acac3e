// Calls into the native addon whose failures become errors of this package.
import {AbortError, toDllmError} from './errors.js';

export async function nativeCall<T>(call: () => T | Promise<T>): Promise<T> {
	try {
		return await call();
	} catch (error) {
		throw toDllmError(error);
	}
}

export function nativeCallSync<T>(call: () => T): T {
	try {
		return call();
	} catch (error) {
		throw toDllmError(error);
	}
}

/**
 * A call on an object whose `abort` ends it, made to end with a signal. A signal that came before the call could be ended counts
 * too.
 *
 * @param what What the error says was aborted.
 */
export async function abortableCall<T>(
	target: {abort(): void},
	signal: AbortSignal | undefined,
	what: string,
	call: () => Promise<T>,
): Promise<T> {
	const throwIfAborted = () => {
		if (signal?.aborted) throw new AbortError(`${what} was aborted`, {cause: signal.reason});
	};
	throwIfAborted();
	const abort = () => target.abort();
	signal?.addEventListener('abort', abort, {once: true});
	try {
		const result = await nativeCall(call);
		throwIfAborted();
		return result;
	} catch (error) {
		if (error instanceof AbortError) throwIfAborted();
		throw error;
	} finally {
		signal?.removeEventListener('abort', abort);
	}
}
