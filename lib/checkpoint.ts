// A checkpoint folder: config.json in the keys of its family, model.safetensors, and the tokenizer where there is one.
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {ResolvedModelConfig} from './config.js';
import {CheckpointError, DllmError, TokenizerError} from './errors.js';
import {readFamilyConfig, writeFamilyConfig} from './families.js';
import {describeCause, exists, readBounded, readJsonFile, writeFolderAtomic} from './files.js';
import {manifestFile, writeManifest} from './manifest.js';
import {Tokenizer, tokenizerFile} from './tokenizer.js';

const configFile = 'config.json';
export const weightsFile = 'model.safetensors';
/** The moving average of the weights, where a run keeps one. */
export const emaFile = 'ema.safetensors';
const MAX_CONFIG_BYTES = 2 ** 20;

/** What a checkpoint folder holds, but for the weights. */
export type Checkpoint = {
	readonly config: ResolvedModelConfig;
	/** The parsed config.json. */
	readonly source: Readonly<Record<string, unknown>>;
	readonly weightsPath: string;
	readonly tokenizer: Tokenizer | undefined;
};

/**
 * Reads a checkpoint folder.
 * @param maskTokenId Overrides the file's.
 * @throws CheckpointError naming the file and what is wrong with it; TokenizerError; ConfigError for `maskTokenId`.
 */
export async function readCheckpoint(folder: string, maskTokenId?: number): Promise<Checkpoint> {
	const file = path.join(folder, configFile);
	const source = await readJsonFile(file, 'model configuration', {maxBytes: MAX_CONFIG_BYTES, error: CheckpointError});
	const config = readFamilyConfig(source, file, maskTokenId);
	const weightsPath = path.join(folder, weightsFile);
	if (!(await exists(weightsPath))) throw await noWeights(folder);
	const tokenizer = (await exists(path.join(folder, tokenizerFile))) ? await Tokenizer.load(folder) : undefined;
	if (tokenizer !== undefined) checkTokenizer(tokenizer, config, folder);
	return {config, source: source as Readonly<Record<string, unknown>>, weightsPath, tokenizer};
}

async function noWeights(folder: string): Promise<CheckpointError> {
	const isSharded = await exists(path.join(folder, `${weightsFile}.index.json`));
	const advice = isSharded ? '; weights in several files are not read: merge them into one' : '';
	return new CheckpointError(`${folder} has no ${weightsFile}${advice}`);
}

/** Every id that the tokenizer makes must be one of the model's. */
function checkTokenizer(tokenizer: Tokenizer, {vocabSize}: ResolvedModelConfig, folder: string): void {
	if (tokenizer.vocabSize <= vocabSize) return;
	throw new CheckpointError(
		`${path.join(folder, tokenizerFile)}: the tokenizer has ${tokenizer.vocabSize} ids; accepted: at most the model's ${vocabSize}`,
	);
}

/** What is written to a checkpoint folder. */
export type CheckpointContent = Pick<Checkpoint, 'config' | 'source' | 'tokenizer'> & {
	readonly saveWeights: (path: string) => Promise<void>;
};

/** Fills a folder that exists with a checkpoint. */
export async function fillCheckpoint(
	folder: string,
	{config, source, tokenizer, saveWeights}: CheckpointContent,
): Promise<void> {
	await writeFile(path.join(folder, configFile), toJson(writeFamilyConfig(config, source)));
	await saveWeights(path.join(folder, weightsFile));
	await tokenizer?.save(folder).catch((cause: unknown) => {
		// it could not be written, as any other file of the checkpoint
		throw cause instanceof TokenizerError ? new CheckpointError(cause.message, {cause}) : cause;
	});
}

/**
 * Writes a checkpoint folder in one step: it is whole or, when anything fails, as it was before.
 *
 * @param build Fills the temporary folder whose path it gets; the manifest is added to it.
 * @param bytes About what it will take on the disk, if that is known: nothing is begun without room for it.
 * @throws CheckpointError when the folder exists and `overwrite` is not set, or when it cannot be written.
 */
export async function writeCheckpointFolder(
	folder: string,
	overwrite: boolean,
	build: (temporary: string) => Promise<void>,
	bytes?: number,
): Promise<void> {
	// a checkpoint that lost files, even all but its trainer's, is still ours to replace
	const markers = [configFile, weightsFile, manifestFile, 'trainer', emaFile, tokenizerFile];
	const options = {overwrite, markers, bytes, error: CheckpointError};
	await writing(folder, () =>
		writeFolderAtomic(folder, options, async temporary => {
			await build(temporary);
			await writeManifest(temporary);
		}),
	);
}

/** Turns the system's errors (no space, no permission) into a CheckpointError that names what was being written. */
export async function writing<T>(target: string, write: () => Promise<T>): Promise<T> {
	try {
		return await write();
	} catch (cause) {
		if (cause instanceof DllmError) throw cause;
		throw new CheckpointError(`cannot write ${target}: ${describeCause(cause)}`, {cause});
	}
}

export function toJson(value: unknown): string {
	return `${JSON.stringify(value, undefined, '\t')}\n`;
}

/** Whether a folder is itself a checkpoint. */
export async function isCheckpoint(folder: string): Promise<boolean> {
	return exists(path.join(folder, weightsFile));
}

/**
 * The content of a small text file.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export async function readSmallFile(file: string, maxBytes: number): Promise<string> {
	const content = await readBounded(file, maxBytes).catch((cause: unknown) => {
		throw new CheckpointError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	});
	return content.toString('utf8');
}
