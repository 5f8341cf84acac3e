// Reads a text file as tokens and holds out its last tenth, as nanoGPT and `prepare` do; train and eval split the same way.
import {isUtf8} from 'node:buffer';
import {createHash} from 'node:crypto';
import {readFile, stat} from 'node:fs/promises';
import {DataError} from '../errors.js';
import {describeCause} from '../files.js';
import {Tokenizer, type TokenizerKind} from '../tokenizer.js';

/** Larger texts are prepared as a dataset, which is read from the disk as it is needed. */
const MAX_BYTES = 2 ** 28;

/** The rest is held out. */
export const trainShare = 0.9;

export type TextFile = {
	readonly bytes: Buffer;
	readonly sha256: string;
};

/** @throws {DataError} naming the file when it cannot be read, is empty or is too large to be held in memory. */
export async function readTextFile(file: string): Promise<TextFile> {
	try {
		const stats = await stat(file);
		if (!stats.isFile()) throw new Error(`it is not a file; \`dllm-native prepare ${file}\` takes folders`);
		if (stats.size > MAX_BYTES) {
			throw new Error(`it has ${stats.size} bytes; run \`dllm-native prepare\` on it and give the result with --data`);
		}

		const bytes = await readFile(file);
		if (bytes.length === 0) throw new Error('it is empty');
		return {bytes, sha256: createHash('sha256').update(bytes).digest('hex')};
	} catch (cause) {
		throw new DataError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	}
}

/** @throws {DataError} when the file is not UTF-8. */
function decodeText(file: string, bytes: Buffer): string {
	if (!isUtf8(bytes)) throw new DataError(`${file} is not UTF-8 text; --tokenizer byte takes any file`);
	return bytes.toString('utf8');
}

/** A tokenizer of the kind that has all that occurs in the file. */
export async function createTokenizer(kind: TokenizerKind, file: string, bytes: Buffer): Promise<Tokenizer> {
	if (kind === 'byte') return Tokenizer.byte();
	return kind === 'gpt2' ? Tokenizer.gpt2() : Tokenizer.char(decodeText(file, bytes));
}

/**
 * The tokens of a file: its first floor(0.9 * count) characters to train on, the rest held out, each encoded as a text of its
 * own. For the `byte` tokenizer, bytes are its characters.
 */
export function splitTokens(
	tokenizer: Tokenizer,
	file: string,
	bytes: Buffer,
): {readonly train: Int32Array; readonly validation: Int32Array} {
	if (tokenizer.kind === 'gpt2') {
		const text = decodeText(file, bytes);
		const end = trainEnd(text);
		return {train: tokenizer.encode(text.slice(0, end)), validation: tokenizer.encode(text.slice(end))};
	}

	// one token for each character
	const tokens = tokenizer.kind === 'byte' ? Int32Array.from(bytes) : tokenizer.encode(decodeText(file, bytes));
	const count = Math.floor(trainShare * tokens.length);
	return {train: tokens.subarray(0, count), validation: tokens.subarray(count)};
}

/** Where the held-out characters begin, in UTF-16 code units; characters are code points. */
function trainEnd(text: string): number {
	let count = 0;
	for (const _ of text) count++;
	let left = Math.floor(trainShare * count);
	let end = 0;
	for (; left > 0; left--) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
	return end;
}
