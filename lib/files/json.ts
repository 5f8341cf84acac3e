// Reads JSON files, with errors that say where a mistake is.
import {isUtf8} from 'node:buffer';
import {open} from 'node:fs/promises';
import {DataError} from '../errors.js';
import {describeCause, type ErrorClass} from './file.js';
import {describeJsonError} from './json-error.js';

/**
 * Reads and parses a JSON file.
 *
 * @param what What the file is to the user, such as `dataset description`.
 * @throws `options.error` (default `DataError`) naming the file when it is missing, not a regular file, larger than
 * `maxBytes` (default 64 MiB), not UTF-8, or not JSON; the last with line and column.
 */
export async function readJsonFile(
	file: string,
	what: string,
	{maxBytes = 2 ** 26, error: Failure = DataError}: {readonly maxBytes?: number; readonly error?: ErrorClass} = {},
): Promise<unknown> {
	const bytes = await readBounded(file, maxBytes).catch((cause: unknown) => {
		throw new Failure(`cannot read ${file} (${what}): ${describeCause(cause)}`, {cause});
	});
	if (!isUtf8(bytes)) throw new Failure(`${file} (${what}) is not UTF-8 text`);
	const text = bytes.toString('utf8').replace(/^\uFEFF/, ''); // some editors begin a file with a byte order mark
	try {
		return JSON.parse(text);
	} catch (cause) {
		throw new Failure(`${file} (${what}) is not valid JSON: ${describeJsonError(text) ?? describeCause(cause)}`, {
			cause,
		});
	}
}

async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
	const handle = await open(file, 'r');
	try {
		const stat = await handle.stat();
		if (!stat.isFile()) throw new Error('it is not a regular file');
		if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, more than the ${maxBytes} allowed`);
		return await handle.readFile();
	} finally {
		await handle.close();
	}
}
