// Calls into the native addon whose failures become errors of this package.
import {toDllmError} from './errors.js';

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
