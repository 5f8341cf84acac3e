// Helpers of the tests that prepare datasets.
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {ExecutionContext} from 'ava';
import {type PreparedDataset, prepareDataset, readMeta} from '../../lib/prepare.js';
import type {TokenizerKind} from '../../lib/tokenizer.js';
import {temporaryFolder} from './folders.js';

async function readTokens({dtype}: PreparedDataset, file: string): Promise<number[]> {
	const bytes = Uint8Array.from(await readFile(file)).buffer;
	return Array.from(dtype === 'uint16' ? new Uint16Array(bytes) : new Uint32Array(bytes));
}

/** The tokens of both splits, after checking that reading the description again gives the same. */
export async function readBack(
	t: ExecutionContext,
	dataset: PreparedDataset,
): Promise<{train: number[]; val: number[]}> {
	t.deepEqual(await readMeta(path.dirname(dataset.trainPath)), dataset);
	return {train: await readTokens(dataset, dataset.trainPath), val: await readTokens(dataset, dataset.valPath)};
}

export async function prepareText(
	t: ExecutionContext,
	text: string | Uint8Array,
	tokenizer?: TokenizerKind,
): Promise<PreparedDataset> {
	const folder = await temporaryFolder(t);
	await writeFile(path.join(folder, 'text'), text);
	return prepareDataset({input: path.join(folder, 'text'), output: path.join(folder, 'out'), tokenizer});
}
