// The text files that a dataset is made from, streamed in pieces so that their size does not matter.
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {readdir, stat} from 'node:fs/promises';
import path from 'node:path';
import {DataError} from '../errors.js';
import {describeCause} from '../files.js';
import {findInvalidUtf8, wholeCharacters} from './utf8.js';

/** In a folder, files with these endings are text; all others are left out. A file that is named directly may have any ending. */
export const textExtensions = ['.txt', '.text', '.md', '.markdown', '.rst', '.tex', '.org', '.adoc'] as const;

/** Where the text of a dataset comes from. */
export type Source = {
	/** In reading order. */
	readonly files: readonly string[];
	/** Whether the input is a folder: each file is then a document of its own. */
	readonly isFolder: boolean;
};

/** A piece of the text: whole characters, or any bytes where text is not asked for. */
export type Piece = {
	readonly bytes: Buffer;
	/** Whether the file ends here; such a piece comes last for each file. */
	readonly endsFile: boolean;
};

export type ReadOptions = {
	/** Whether the files must be text: UTF-8 without a zero byte, in pieces of whole characters. */
	readonly asText: boolean;
	/** Whether a newline is added to a file that does not end with one, to keep it apart from the next. */
	readonly endLines: boolean;
};

/**
 * Finds the files of an input: the file itself, or all text files in a folder and below, ordered by their path (by code
 * units, so in the same order everywhere). Names that begin with a dot and links to folders are left out.
 *
 * @throws {DataError} when the input does not exist or a folder has no text file.
 */
export async function findSource(input: string): Promise<Source> {
	const stats = await stat(input).catch((cause: unknown) => {
		throw new DataError(`cannot read ${input}: ${describeCause(cause)}`, {cause});
	});
	if (stats.isFile()) return {files: [input], isFolder: false};
	if (!stats.isDirectory()) throw new DataError(`${input} is neither a file nor a folder`);
	const files = (await listTextFiles(input, '')).sort((a, b) => (a < b ? -1 : 1));
	if (files.length === 0) throw new DataError(`${input} has no text file; looked for ${textExtensions.join(', ')}`);
	return {files: files.map(file => path.join(input, file)), isFolder: true};
}

async function listTextFiles(root: string, folder: string): Promise<string[]> {
	const entries = await readdir(path.join(root, folder), {withFileTypes: true});
	const found: string[] = [];
	for (const entry of entries) {
		if (entry.name.startsWith('.')) continue;
		const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
		if (entry.isDirectory()) found.push(...(await listTextFiles(root, name)));
		else if (textExtensions.some(extension => entry.name.toLowerCase().endsWith(extension))) found.push(name);
	}

	return found;
}

/** Reads all files of a source in order and keeps their digest, by which a change between two readings is noticed. */
export class SourceReader implements AsyncIterable<Piece> {
	readonly #source: Source;
	readonly #options: ReadOptions;
	readonly #hash = createHash('sha256');
	#bytes = 0;

	constructor(source: Source, options: ReadOptions) {
		this.#source = source;
		this.#options = options;
	}

	/** Bytes of all files, and SHA-256 of all files one after the other; known when all pieces have been read. */
	digest(): {readonly bytes: number; readonly sha256: string} {
		return {bytes: this.#bytes, sha256: this.#hash.copy().digest('hex')};
	}

	/** @throws {DataError} naming a file that cannot be read or is not text, with the offset of the first wrong byte. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void, void> {
		for (const file of this.#source.files) yield* this.#readFile(file);
	}

	async *#readFile(file: string): AsyncGenerator<Piece, void, void> {
		const {asText, endLines} = this.#options;
		let rest: Buffer = Buffer.alloc(0);
		let offset = 0; // of `rest` in the file
		let last: number | undefined;
		for await (const chunk of readChunks(file)) {
			this.#hash.update(chunk);
			this.#bytes += chunk.length;
			const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
			const end = asText ? wholeCharacters(joined) : joined.length;
			const bytes = joined.subarray(0, end);
			if (asText) checkText(bytes, file, offset);
			yield {bytes, endsFile: false};
			rest = joined.subarray(end);
			offset += end;
			last = chunk.at(-1);
		}

		if (rest.length > 0) throw notUtf8(file, offset, rest[0]); // the file ends within a character
		const isOpenLine = last !== undefined && last !== 0x0a;
		yield {bytes: Buffer.from(endLines && isOpenLine ? '\n' : ''), endsFile: true};
	}
}

async function* readChunks(file: string): AsyncGenerator<Buffer, void, void> {
	try {
		yield* createReadStream(file, {highWaterMark: 2 ** 20}) as AsyncIterable<Buffer>;
	} catch (cause) {
		throw new DataError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	}
}

function checkText(bytes: Buffer, file: string, offset: number): void {
	const zero = bytes.indexOf(0);
	if (zero !== -1)
		throw new DataError(`${file} is not a text: byte ${offset + zero} is zero; tokenizer "byte" takes any file`);
	const invalid = findInvalidUtf8(bytes);
	if (invalid !== -1) throw notUtf8(file, offset + invalid, bytes[invalid]);
}

function notUtf8(file: string, offset: number, byte: number): DataError {
	const value = `0x${byte.toString(16).padStart(2, '0')}`;
	return new DataError(
		`${file} is not UTF-8: byte ${offset} (${value}) begins no valid character; tokenizer "byte" takes any file`,
	);
}
