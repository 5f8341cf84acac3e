// Small files from strangers: whatever they hold, reading them gives a valid value or an error that names the file.
import {readFileSync, writeFileSync} from 'node:fs';
import {mkdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import fc from 'fast-check';
import {readDataRecord} from '../lib/cli/data-record.js';
import {resolveModelConfig, resolveTrainConfig} from '../lib/config.js';
import {CheckpointError, DataError, DllmError} from '../lib/errors.js';
import {readFamilyConfig, writeFamilyConfig} from '../lib/families.js';
import {parseJson} from '../lib/files/json.js';
import {formatManifest, parseManifest} from '../lib/manifest.js';
import {parseMeta} from '../lib/prepare/schema.js';
import {parsePointer, resolveCheckpoint} from '../lib/run-folder.js';
import {Tokenizer} from '../lib/tokenizer.js';
import {readTrainerState} from '../lib/trainer-state.js';
import {fixture, temporaryFolder} from './support/folders.js';
import {warningsOf} from './support/processes.js';
import {tinyModel, tinyTokenizer} from './support/tiny.js';
import {splice, spliceAll, tampered} from './support/untrusted.js';

const numRuns = 20_000;
const seed = 1;
const sha256 = '0123456789abcdef'.repeat(4);
const file = '/some/folder/file.json';

type Reader = (content: Buffer) => unknown;

/** Runs a reader on each content. What it throws must be ours and name the file; both answers must be met. */
async function survives(
	t: ExecutionContext,
	contents: fc.Arbitrary<Buffer>,
	read: Reader,
	Failure: new (message: string) => DllmError,
	runs = numRuns,
): Promise<void> {
	const counts = {read: 0, refused: 0};
	const property = fc.asyncProperty(contents, async content => {
		try {
			await read(content);
			counts.read++;
		} catch (error) {
			if (!(error instanceof Failure && error.message.includes(path.dirname(file)))) throw error;
			counts.refused++;
		}
	});
	await fc.assert(property, {numRuns: runs, seed, endOnFailure: true});
	t.log(`${counts.read} read, ${counts.refused} refused`);
	t.true(counts.read > 0 && counts.refused > runs / 4);
	checkPrototypes(t);
}

function checkPrototypes(t: ExecutionContext): void {
	for (const {prototype} of [Object, Array, Function, Map]) {
		const added: string[] = [];
		for (const key in prototype) added.push(key);
		t.deepEqual(added, []);
	}
}

function toDataError(message: string): DataError {
	return new DataError(message);
}

test('manifest.json', async t => {
	const manifest = new Map(
		['config.json', 'model.safetensors', 'trainer/state.json'].map(name => [name, {bytes: 5, sha256}]),
	);
	const text = formatManifest(manifest);
	const spliced = fc.array(splice, {maxLength: 2}).map(changes => Buffer.from(spliceAll(text, changes)));
	const read: Reader = content => {
		const parsed = parseManifest(content, file);
		t.true([...parsed.keys()].every(name => !path.join('/a', name).startsWith('/a/..') && !path.isAbsolute(name)));
	};
	await survives(t, fc.oneof(tampered(JSON.parse(text)), spliced), read, CheckpointError);
});

const configs: readonly [string, unknown][] = [
	['dllm_native', writeFamilyConfig(resolveModelConfig({...tinyModel, finalNorm: null}))],
	['nanollada', writeFamilyConfig(resolveModelConfig({...tinyModel, family: 'nanollada'}))],
	...['gpt2-masked', 'llada-masked', 'dream-shifted'].map(
		name => [name, JSON.parse(readFileSync(fixture('vectors', name, 'config.json'), 'utf8'))] as [string, unknown],
	),
];

for (const [name, valid] of configs) {
	test(`config.json of ${name}`, async t => {
		const read: Reader = content => {
			const config = readFamilyConfig(parseJson(content, file, CheckpointError), file);
			t.deepEqual(resolveModelConfig(config), config);
		};
		await survives(t, tampered(valid), read, CheckpointError);
	});
}

test('meta.json of a dataset', async t => {
	const valid = {
		formatVersion: 1,
		name: 'text',
		dtype: 'uint16',
		tokenizer: tinyTokenizer.description,
		trainTokens: 900,
		valTokens: 100,
		source: {files: 1, bytes: 1000, sha256},
	};
	const read: Reader = content => parseMeta(parseJson(content, file, DataError), {name: file, fail: toDataError});
	await survives(t, tampered(valid), read, DataError);
});

test('latest and best', async t => {
	const name = fc.oneof(
		fc.nat().map(step => `step-${step}\n`),
		fc.array(splice, {maxLength: 3}).map(changes => spliceAll('step-100\n', changes)),
		fc.string(),
		fc.string({unit: 'binary'}),
		fc.constantFrom('../step-1', '/step-1', 'step-1/..', 'step-1\nstep-2', 'step-1\0', 'step--1', 'step-', 'STEP-1'),
	);
	const contents = name.map(text => Buffer.from(text));
	const read: Reader = content => t.regex(parsePointer(content.toString('utf8'), file), /^step-\d+$/);
	await survives(t, contents, read, CheckpointError);
	const folder = await temporaryFolder(t);
	await mkdir(path.join(folder, 'step-1'));
	writeFileSync(path.join(folder, 'step-1', 'model.safetensors'), '');
	const property = fc.asyncProperty(contents, async content => {
		writeFileSync(path.join(folder, 'latest'), content);
		t.is(await resolveCheckpoint(folder), path.join(folder, 'step-1'));
	});
	await warningsOf(() => fc.assert(property, {numRuns: 300, seed, endOnFailure: true}));
});

test('trainer/state.json', async t => {
	const folder = await temporaryFolder(t);
	await mkdir(path.join(folder, 'trainer'));
	const train = resolveTrainConfig({}, resolveModelConfig(tinyModel));
	const valid = {
		formatVersion: 1,
		completedSteps: 4,
		dtype: 'bfloat16',
		train,
		evaluation: {nll: 2, standardError: null},
		earlyStopping: {bestNll: null, evaluationsSince: 0, evaluatedStep: null},
		nonFiniteSteps: 0,
	};
	const read: Reader = async content => {
		writeFileSync(path.join(folder, 'trainer', 'state.json'), content);
		await readTrainerState(folder).catch((error: unknown) => {
			throw renamed(error, folder);
		});
	};
	await survives(t, tampered(valid), read, CheckpointError);
});

test('data.json of a run', async t => {
	const folder = await temporaryFolder(t);
	const valid = {formatVersion: 1, data: {kind: 'file', path: '/text.txt', sha256}};
	const read: Reader = async content => {
		writeFileSync(path.join(folder, 'data.json'), content);
		await readDataRecord(folder).catch((error: unknown) => {
			throw renamed(error, folder);
		});
	};
	await survives(t, tampered(valid), read, CheckpointError);
});

test('tokenizer_dllm.json', async t => {
	const folder = await temporaryFolder(t);
	const read: Reader = async content => {
		writeFileSync(path.join(folder, 'tokenizer_dllm.json'), content);
		await Tokenizer.load(folder).catch((error: unknown) => {
			throw renamed(error, folder);
		});
	};
	await survives(t, tampered(tinyTokenizer.description), read, DllmError as never, 2000);
});

/** The error as if the file lay in the folder that is looked for in its message. */
function renamed(error: unknown, folder: string): unknown {
	if (error instanceof DllmError) error.message = error.message.replaceAll(folder, path.dirname(file));
	return error;
}

test.serial('very long keys and very deep values take no time', async t => {
	const long = {[`l${'x'.repeat(2 ** 20 - 100)}`]: 1};
	const deep = `{"dllm_native": ${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}}`;
	const folder = await temporaryFolder(t);
	await mkdir(path.join(folder, 'trainer'));
	for (const content of [JSON.stringify(long), JSON.stringify({formatVersion: 1, files: long}), deep]) {
		const before = process.cpuUsage();
		for (const name of ['data.json', 'trainer/state.json']) writeFileSync(path.join(folder, name), content);
		const bytes = await readFile(path.join(folder, 'data.json'));
		await t.throwsAsync(readTrainerState(folder), {instanceOf: CheckpointError});
		await t.throwsAsync(readDataRecord(folder), {instanceOf: CheckpointError});
		t.throws(() => parseManifest(bytes, file), {instanceOf: CheckpointError});
		t.throws(() => readFamilyConfig(parseJson(bytes, file, CheckpointError), file), {instanceOf: CheckpointError});
		const {user} = process.cpuUsage(before);
		t.true(user < 10e6, `${user / 1e6} s`);
	}
});
