// What a run was trained on, kept as data.json in its run folder, so that resuming and evaluating find it again.
import path from 'node:path';
import {z} from 'zod';
import {toJson, writing} from '../checkpoint.js';
import {check} from '../config/check.js';
import {CheckpointError} from '../errors.js';
import {exists, readJsonFile, writeFileAtomic} from '../files.js';

const sha256 = z
	.string()
	.regex(/^[0-9a-f]{64}$/)
	.describe('SHA-256 of the text');

const recordSchema = z.discriminatedUnion('kind', [
	/** A text file, its last tenth held out. */
	z.strictObject({kind: z.literal('file'), path: z.string().min(1), sha256}),
	/** A folder made by `prepare`. */
	z.strictObject({kind: z.literal('folder'), path: z.string().min(1), sha256}),
	/** The built-in corpus, its last stories held out. The SHA-256 tells it from the corpus of another version. */
	z.strictObject({
		kind: z.literal('stories'),
		seed: z.int().min(0),
		characters: z
			.int()
			.min(1)
			.max(2 ** 28),
		sha256,
	}),
]);

const schema = z.strictObject({formatVersion: z.literal(1), data: recordSchema});

export type DataRecord = Readonly<z.output<typeof recordSchema>>;

const fileName = 'data.json';

/** @throws CheckpointError when it cannot be written. */
export async function writeDataRecord(runFolder: string, data: DataRecord): Promise<void> {
	const file = path.join(runFolder, fileName);
	await writing(file, () => writeFileAtomic(file, toJson({formatVersion: 1, data})));
}

/**
 * The record of a run folder, or of the run that a checkpoint lies in; undefined when there is none.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export async function readDataRecord(folder: string): Promise<DataRecord | undefined> {
	for (const candidate of [folder, path.dirname(path.resolve(folder))]) {
		const file = path.join(candidate, fileName);
		if (!(await exists(file))) continue;
		const value = await readJsonFile(file, 'data of a run', {maxBytes: 2 ** 20, error: CheckpointError});
		return check(schema, value, {name: file, fail: message => new CheckpointError(message)}).data;
	}

	return undefined;
}
