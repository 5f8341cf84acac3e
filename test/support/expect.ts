// Assertions that several test files share.
import type {ExecutionContext} from 'ava';
import {DllmError, type ErrorCode} from '../../lib/errors.js';

type Expected = {readonly code: ErrorCode; readonly message: RegExp};

/** The call must reject with an error of this package that has this code and message. */
export async function rejects(t: ExecutionContext, call: () => Promise<unknown>, expected: Expected): Promise<void> {
	checkError(t, await t.throwsAsync(call), expected);
}

/** The call must throw an error of this package that has this code and message. */
export function fails(t: ExecutionContext, call: () => unknown, expected: Expected): void {
	checkError(t, t.throws(call), expected);
}

function checkError(t: ExecutionContext, error: Error | undefined, {code, message}: Expected): void {
	t.true(error instanceof DllmError, `${error?.stack}`);
	t.is((error as DllmError).code, code);
	t.regex((error as DllmError).message, message);
}

/** Relative Frobenius error of `found`: |found - expected| / |expected|. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
	if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
	let difference = 0;
	let norm = 0;
	for (let index = 0; index < expected.length; index++) {
		difference += (found[index]! - expected[index]!) ** 2;
		norm += expected[index]! ** 2;
	}

	return Math.sqrt(difference / norm);
}
