// The data of a run: from a text file, a prepared folder, the record of an earlier run, or the default.
import {createHash} from 'node:crypto';
import path from 'node:path';
import process from 'node:process';
import {isDeepStrictEqual} from 'node:util';
import {generateStories, logProbability, type StoriesConfig, splitStories} from '../corpus.js';
import {Dataset} from '../dataset.js';
import {DataError} from '../errors.js';
import {exists} from '../files.js';
import {defaultDataFolder, prepareShakespeare, readMeta} from '../prepare.js';
import {Tokenizer, type TokenizerKind} from '../tokenizer.js';
import type {DataRecord} from './data-record.js';
import {note} from './output.js';
import {createTokenizer, readTextFile, splitTokens, trainShare} from './text-data.js';

export type RunData = {
	readonly train: Dataset;
	readonly validation: Dataset;
	readonly tokenizer: Tokenizer;
	readonly record: DataRecord;
	/** For people: where the data is from. */
	readonly description: string;
	/** The exact -log p of the held-out part in nats per token, for text whose probability is known: the built-in corpus. */
	readonly exactNll?: number;
};

/** As much text as tiny shakespeare has. */
const stories: StoriesConfig = {seed: 0, characters: 1_100_000};

/** What opening data takes, wherever it is from. */
export type DataNeeds = {
	/** The fewest tokens that each part must have: a window of the run. */
	readonly contextLength: number;
	/** What the data was when the run was trained on it. */
	readonly expected?: DataRecord;
};

/**
 * @param tokenizer The model's, or the kind of a new one.
 * @throws DataError when a part is shorter than the context length.
 */
export async function openFile(
	file: string,
	tokenizer: Tokenizer | TokenizerKind,
	{contextLength, expected}: DataNeeds,
): Promise<RunData> {
	const {bytes, sha256} = await readTextFile(file);
	checkUnchanged({kind: 'file', path: file, sha256}, expected);
	const usedTokenizer = typeof tokenizer === 'string' ? await createTokenizer(tokenizer, file, bytes) : tokenizer;
	const {train, validation} = splitTokens(usedTokenizer, file, bytes);
	checkLengths({train, validation}, file, contextLength);
	return {
		train: Dataset.fromTokens(train),
		validation: Dataset.fromTokens(validation),
		tokenizer: usedTokenizer,
		record: {kind: 'file', path: path.resolve(file), sha256},
		description: file,
	};
}

/**
 * @param tokenizer The model's, when there is one already.
 * @throws DataError when the dataset was encoded with another one, or a part is shorter than the context length.
 */
export async function openFolder(
	folder: string,
	tokenizer: Tokenizer | undefined,
	{contextLength, expected}: DataNeeds,
): Promise<RunData> {
	const {name, source, tokenizer: description} = await readMeta(folder);
	checkUnchanged({kind: 'folder', path: folder, sha256: source.sha256}, expected);
	if (tokenizer && !isDeepStrictEqual(tokenizer.description, description)) {
		throw new DataError(
			`${folder} was encoded with another tokenizer (${description.kind}, ${description.vocabSize} ids) than the model's ` +
				`(${tokenizer.kind}, ${tokenizer.vocabSize} ids); prepare its text with the model's, or give the text with --input`,
		);
	}

	const train = await Dataset.open(folder, {split: 'train'});
	const validation = await Dataset.open(folder, {split: 'val'});
	checkLengths({train, validation}, folder, contextLength);
	return {
		train,
		validation,
		tokenizer: tokenizer ?? (await Tokenizer.fromDescription(description)),
		record: {kind: 'folder', path: path.resolve(folder), sha256: source.sha256},
		description: `${name} in ${folder}`,
	};
}

/** @throws DataError when this version's stories are not those that the run was trained on. */
function openStories(
	{seed, characters}: StoriesConfig,
	tokenizer: Tokenizer | undefined,
	{contextLength, expected}: DataNeeds,
): RunData {
	const text = generateStories({seed, characters});
	const record: DataRecord = {
		kind: 'stories',
		seed,
		characters,
		sha256: createHash('sha256').update(text).digest('hex'),
	};
	checkUnchanged(record, expected);
	const usedTokenizer = tokenizer ?? Tokenizer.char(text);
	const [trainText, validationText] = splitStories(text, trainShare);
	const train = usedTokenizer.encode(trainText);
	const validation = usedTokenizer.encode(validationText);
	checkLengths({train, validation}, 'the built-in corpus', contextLength);
	return {
		train: Dataset.fromTokens(train),
		validation: Dataset.fromTokens(validation),
		tokenizer: usedTokenizer,
		record,
		description: 'the built-in corpus of generated stories',
		exactNll: -logProbability(validationText).logProbability / validation.length,
	};
}

/** Tiny shakespeare from an earlier `prepare` or its download; without a network, and saying so, the built-in corpus. */
export async function openDefault(needs: DataNeeds): Promise<RunData> {
	const folder = defaultDataFolder('shakespeare_char');
	if (!(await exists(path.join(folder, 'meta.json')))) {
		note(`downloading tiny shakespeare (1.1 MB) to ${folder}`);
		try {
			const url = process.env.DLLM_SHAKESPEARE_URL;
			await prepareShakespeare({output: folder, timeoutSeconds: 20, ...(url && {url})});
		} catch (error) {
			if (!(error instanceof DataError)) throw error;
			note(
				`${error.message}.\ntiny shakespeare is not available; training on the built-in corpus of generated stories instead`,
			);
			return openStories(stories, undefined, needs);
		}
	}

	return openFolder(folder, undefined, needs);
}

/**
 * The data of an earlier run.
 * @throws DataError when it is not what the run was trained on.
 */
export async function openRecord(record: DataRecord, tokenizer: Tokenizer, contextLength: number): Promise<RunData> {
	const needs = {contextLength, expected: record};
	if (record.kind === 'stories') return openStories(record, tokenizer, needs);
	return (record.kind === 'file' ? openFile : openFolder)(record.path, tokenizer, needs);
}

/** Before the first step, so that a run never fails at its first evaluation. The held-out part, the shorter one, comes first. */
function checkLengths(
	{train, validation}: Readonly<Record<'train' | 'validation', {readonly length: number}>>,
	source: string,
	contextLength: number,
): void {
	for (const [part, {length}] of Object.entries({'held-out tenth': validation, 'training part': train})) {
		if (length >= contextLength) continue;
		throw new DataError(
			`the ${part} of ${source} has ${length} ${length === 1 ? 'token' : 'tokens'}; ` +
				`accepted: at least the context length, ${contextLength} (a longer text, or a smaller --context-length)`,
		);
	}
}

function checkUnchanged(found: DataRecord, expected: DataRecord | undefined): void {
	if (!expected || expected.sha256 === found.sha256) return;
	if (found.kind === 'stories') {
		throw new DataError(
			'the built-in corpus has changed since the run was trained on it; name another text: --input FILE',
		);
	}

	throw new DataError(
		`${found.path} has changed since the run was trained on it; to use it as it is now, name it: ` +
			`${found.kind === 'file' ? '--input' : '--data'} ${found.path}`,
	);
}
