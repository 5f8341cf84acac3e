// Turns text files into a dataset on disk: train.bin, val.bin and meta.json.
import {rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {checkBoolean, checkKeys, checkPath} from '../config/arguments.js';
import {ConfigError, DataError, DllmError} from '../errors.js';
import {describeCause, exists, makeFolder, syncPath, temporarySibling, writeFileAtomic} from '../files.js';
import {Tokenizer, type TokenizerKind} from '../tokenizer.js';
import {CharacterSet} from '../tokenizers/char.js';
import {tokenizerKinds} from '../tokenizers/codec.js';
import {type DatasetMeta, datasetFiles, type PreparedDataset, readMeta} from './meta.js';
import {findSource, type Source, SourceReader} from './source.js';
import {StreamEncoder} from './stream-encoder.js';
import {TokenFile, tokenDtype} from './token-file.js';

/** What to prepare. */
export type PrepareConfig = {
	/**
	 * A text file, or a folder whose text files, also those in folders below, are taken in the order of their paths: names that end
	 * in .txt, .text, .md, .markdown, .rst, .tex, .org or .adoc and do not begin with a dot.
	 */
	readonly input: string;
	/** Folder of the dataset; it is made if it does not exist. */
	readonly output: string;
	/** @default 'char' */
	readonly tokenizer?: TokenizerKind;
	/** @default the name of the input */
	readonly name?: string;
	/** Whether a dataset that is already there is replaced. @default false */
	readonly overwrite?: boolean;
};

const prepareKeys = [
	'input',
	'output',
	'tokenizer',
	'name',
	'overwrite',
] as const satisfies readonly (keyof PrepareConfig)[];

/** The shortest text whose last tenth is a whole character. */
const MIN_CHARACTERS = 10;

/**
 * Prepares a dataset: the first 90 % of the characters become `train.bin`, the rest `val.bin`, split as nanoGPT does
 * (after floor(0.9 · characters)). Text is taken as it is: no newline, byte order mark or space is changed. Of a folder,
 * each file ends with a newline (one is added where it is missing), or with the end-of-document token for `gpt2`.
 * A `byte` dataset takes any file and counts bytes as characters. Texts may be larger than memory; they are read twice.
 *
 * All three files are written beside their places first and then renamed, `meta.json` last: a dataset that has one is whole.
 *
 * @throws {DataError} when the input is missing, empty, too small or not text, when the output holds a dataset and `overwrite`
 * is not set, or when the output cannot be written.
 */
export async function prepareDataset(config: PrepareConfig): Promise<PreparedDataset> {
	checkKeys('PrepareConfig', config, prepareKeys);
	const {input, output, tokenizer: kind = 'char', overwrite = false} = config;
	checkPath('PrepareConfig: input', input);
	checkPath('PrepareConfig: output', output);
	if (config.name !== undefined) checkPath('PrepareConfig: name', config.name);
	checkBoolean('PrepareConfig: overwrite', overwrite);
	if (!tokenizerKinds.includes(kind)) {
		throw new ConfigError(`tokenizer must be one of ${tokenizerKinds.join(', ')}, got ${JSON.stringify(kind)}`);
	}

	if (!overwrite) await checkVacant(output);
	const source = await findSource(input);
	const survey = await surveySource(source, kind);
	if (survey.characters < MIN_CHARACTERS) {
		throw new DataError(`${input} has ${survey.characters} characters; a dataset needs at least ${MIN_CHARACTERS}`);
	}

	const tokenizer =
		kind === 'char' ? Tokenizer.char(survey.alphabet) : kind === 'byte' ? Tokenizer.byte() : await Tokenizer.gpt2();
	const name = config.name ?? path.basename(path.resolve(input));
	try {
		await writeDataset(output, source, survey, tokenizer, name);
	} catch (cause) {
		if (cause instanceof DllmError) throw cause;
		throw new DataError(`cannot write the dataset ${output}: ${describeCause(cause)}`, {cause});
	}

	return readMeta(output);
}

async function checkVacant(output: string): Promise<void> {
	for (const name of Object.values(datasetFiles)) {
		if (await exists(path.join(output, name))) {
			throw new DataError(`${output} already holds ${name}; a dataset is replaced only with overwrite`);
		}
	}
}

/** What the first reading finds out. */
type Survey = {
	readonly characters: number;
	/** All different characters; empty unless the tokenizer is `char`. */
	readonly alphabet: string;
	readonly bytes: number;
	readonly sha256: string;
};

function openSource(source: Source, kind: TokenizerKind): SourceReader {
	return new SourceReader(source, {asText: kind !== 'byte', endLines: source.isFolder && kind !== 'gpt2'});
}

async function surveySource(source: Source, kind: TokenizerKind): Promise<Survey> {
	const reader = openSource(source, kind);
	const alphabet = new CharacterSet();
	let characters = 0;
	for await (const {bytes} of reader) {
		characters += countCharacters(bytes, kind);
		if (kind === 'char') alphabet.add(bytes.toString('utf8'));
	}

	return {characters, alphabet: alphabet.toString(), ...reader.digest()};
}

async function writeDataset(
	output: string,
	source: Source,
	survey: Survey,
	tokenizer: Tokenizer,
	name: string,
): Promise<void> {
	const dtype = tokenDtype(tokenizer.vocabSize);
	const paths = {train: path.join(output, datasetFiles.train), val: path.join(output, datasetFiles.val)};
	const temporary = {train: temporarySibling(paths.train, 'tmp'), val: temporarySibling(paths.val, 'tmp')};
	await makeFolder(output);
	try {
		const counts = await writeTokens(temporary, source, survey, tokenizer);
		const meta: DatasetMeta = {
			formatVersion: 1,
			name,
			dtype,
			tokenizer: tokenizer.description,
			...counts,
			source: {files: source.files.length, bytes: survey.bytes, sha256: survey.sha256},
		};
		const metaPath = path.join(output, datasetFiles.meta);
		await rm(metaPath, {force: true}); // first, so that it never describes the other dataset's tokens
		await rename(temporary.train, paths.train);
		await rename(temporary.val, paths.val);
		await syncPath(output);
		await writeFileAtomic(metaPath, `${JSON.stringify(meta, undefined, '\t')}\n`);
	} finally {
		await rm(temporary.train, {force: true});
		await rm(temporary.val, {force: true});
	}
}

/** The second reading: encodes the first 90 % of the characters to one file and the rest to the other. */
async function writeTokens(
	files: {readonly train: string; readonly val: string},
	source: Source,
	survey: Survey,
	tokenizer: Tokenizer,
): Promise<{trainTokens: number; valTokens: number}> {
	const dtype = tokenDtype(tokenizer.vocabSize);
	let valTokens = 0;
	const trainTokens = await TokenFile.write(files.train, dtype, async train => {
		valTokens = await TokenFile.write(files.val, dtype, async val => {
			const reader = openSource(source, tokenizer.kind);
			await encodeSource(reader, source.isFolder, tokenizer, Math.floor(0.9 * survey.characters), train, val);
			if (reader.digest().sha256 !== survey.sha256)
				throw new DataError('the input changed while it was read; prepare it again');
		});
	});
	return {trainTokens, valTokens};
}

/** Encodes the first `trainCharacters` characters to `train` and the rest to `val`, each as a text of its own. */
async function encodeSource(
	reader: SourceReader,
	endsDocuments: boolean,
	tokenizer: Tokenizer,
	trainCharacters: number,
	train: TokenFile,
	val: TokenFile,
): Promise<void> {
	const {kind, eosTokenId} = tokenizer;
	const encoder = new StreamEncoder(tokenizer);
	let target = train;
	let left = trainCharacters;
	for await (const {bytes, endsFile} of reader) {
		let rest = bytes;
		if (target === train) {
			const count = countCharacters(bytes, kind);
			if (count > left) {
				const end = kind === 'byte' ? left : characterOffset(bytes, left);
				await train.append(encoder.push(bytes.subarray(0, end)));
				await train.append(encoder.flush());
				target = val;
				rest = bytes.subarray(end);
			}

			left -= count;
		}

		await target.append(encoder.push(rest));
		if (endsFile && endsDocuments && eosTokenId !== undefined) {
			await target.append(encoder.flush());
			await target.append([eosTokenId]);
		}
	}

	await target.append(encoder.flush());
}

function countCharacters(bytes: Uint8Array, kind: TokenizerKind): number {
	if (kind === 'byte') return bytes.length;
	let count = 0;
	for (let offset = 0; offset < bytes.length; offset++) if (startsCharacter(bytes[offset])) count++;
	return count;
}

/** Offset of the character with this index in UTF-8. */
function characterOffset(bytes: Uint8Array, index: number): number {
	let count = 0;
	return bytes.findIndex(byte => startsCharacter(byte) && count++ === index);
}

function startsCharacter(byte: number): boolean {
	return (byte & 0xc0) !== 0x80;
}
