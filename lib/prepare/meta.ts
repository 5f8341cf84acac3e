// Finds a prepared dataset and checks that its files are what their description says.
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {DataError} from '../errors.js';
import {describeCause, exists, readJsonFile} from '../files.js';
import type {DatasetMeta} from './schema.js';
import {tokenBytes} from './token-file.js';

export type {DatasetMeta} from './schema.js';

/** The files of a prepared dataset. */
export const datasetFiles = {train: 'train.bin', val: 'val.bin', meta: 'meta.json'} as const;

/** A prepared dataset, checked: its description and where its tokens are. */
export type PreparedDataset = DatasetMeta & {
	readonly trainPath: string;
	readonly valPath: string;
};

/** The folder of a dataset of this name: in `DLLM_DATA` if that is set, else in `./data`. */
export function defaultDataFolder(name: string): string {
	return path.join(process.env.DLLM_DATA || './data', name);
}

/**
 * Reads the description of a prepared dataset and checks that the token files have the sizes it states. Ids are not
 * checked here: whoever reads them must hold each against `tokenizer.vocabSize`.
 *
 * @throws {DataError} naming the file and what is wrong with it.
 */
export async function readMeta(folder: string): Promise<PreparedDataset> {
	const file = path.join(folder, datasetFiles.meta);
	if (!(await exists(file))) throw await noMeta(folder);
	const value = await readJsonFile(file, 'dataset description');
	const {parseMeta} = await import('./schema.js');
	const meta = parseMeta(value, {name: file, fail: message => new DataError(message)});
	const trainPath = path.join(folder, datasetFiles.train);
	const valPath = path.join(folder, datasetFiles.val);
	await checkSize(trainPath, meta.trainTokens, meta);
	await checkSize(valPath, meta.valTokens, meta);
	return {...meta, trainPath, valPath};
}

async function checkSize(file: string, tokens: number, {dtype}: DatasetMeta): Promise<void> {
	const stats = await stat(file).catch((cause: unknown) => {
		throw new DataError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	});
	const expected = tokens * tokenBytes[dtype];
	if (!stats.isFile()) throw new DataError(`${file} is not a regular file`);
	if (stats.size !== expected) {
		throw new DataError(
			`${file} has ${stats.size} bytes; its ${datasetFiles.meta} says ${tokens} ${dtype} tokens, ${expected} bytes`,
		);
	}
}

async function noMeta(folder: string): Promise<DataError> {
	if (!(await exists(folder))) return new DataError(`${folder} does not exist; prepare a dataset there first`);
	const isNanoGpt = await exists(path.join(folder, 'meta.pkl'));
	const advice = isNanoGpt
		? 'its meta.pkl is a Python pickle and is not read; prepare the dataset again from its text'
		: 'it is not a prepared dataset, or preparing it was interrupted';
	return new DataError(`${folder} has no ${datasetFiles.meta}: ${advice}`);
}
