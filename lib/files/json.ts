// Reads JSON files, with errors that say where a mistake is.
import {isUtf8} from 'node:buffer';
import {DataError} from '../errors.js';
import {describeCause, type ErrorClass, readBounded} from './file.js';
import {describeJsonError} from './json-error.js';

/** No file that is read here nests deeper than a few levels; what does would exhaust the stack of who walks it. */
const MAX_DEPTH = 64;

/**
 * Reads and parses a JSON file.
 *
 * @param what What the file is to the user, such as `dataset description`.
 * @throws `options.error` (default `DataError`) naming the file when it is missing, not a regular file, larger than
 * `maxBytes` (default 64 MiB), not UTF-8, nested more than 64 deep, or not JSON; the last with line and column.
 */
export async function readJsonFile(
	file: string,
	what: string,
	{maxBytes = 2 ** 26, error: Failure = DataError}: {readonly maxBytes?: number; readonly error?: ErrorClass} = {},
): Promise<unknown> {
	const bytes = await readBounded(file, maxBytes).catch((cause: unknown) => {
		throw new Failure(`cannot read ${file} (${what}): ${describeCause(cause)}`, {cause});
	});
	return parseJson(bytes, `${file} (${what})`, Failure);
}

/**
 * Parses the content of a JSON file.
 * @param name What error messages call the file.
 */
export function parseJson(bytes: Buffer, name: string, Failure: ErrorClass): unknown {
	if (!isUtf8(bytes)) throw new Failure(`${name} is not UTF-8 text`);
	const text = bytes.toString('utf8').replace(/^\uFEFF/, ''); // some editors begin a file with a byte order mark
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (cause) {
		throw new Failure(`${name} is not valid JSON: ${describeJsonError(text) ?? describeCause(cause)}`, {cause});
	}

	if (isDeeperThan(bytes, MAX_DEPTH)) throw new Failure(`${name} is nested more than ${MAX_DEPTH} levels deep`);
	return value;
}

const [QUOTE, BACKSLASH, ...BRACKETS] = Buffer.from('"\\[{]}');

/** Whether a text that is JSON nests arrays and objects deeper than this. A loop: a long string exhausts a regular expression. */
function isDeeperThan(text: Buffer, levels: number): boolean {
	let depth = 0;
	let isString = false;
	for (let index = 0; index < text.length; index++) {
		const byte = text[index]!;
		if (isString && byte === BACKSLASH) index++;
		else if (byte === QUOTE) isString = !isString;
		else if (!isString && BRACKETS.includes(byte)) depth += BRACKETS.indexOf(byte) < 2 ? 1 : -1;
		if (depth > levels) return true;
	}

	return false;
}
