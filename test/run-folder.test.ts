// Run folders: what a trainer saves, what stays, and what cannot be resumed.
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {temporarySibling} from '../lib/files.js';
import {Model} from '../lib/model.js';
import {addCheckpoint, resolveCheckpoint} from '../lib/run-folder.js';
import {Trainer} from '../lib/trainer.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {deadPid, warningsOf} from './support/processes.js';
import {collect, tinyDataset, tinyTrainer, weights} from './support/training.js';

test('resume takes changes to the config', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer();
	await trainer.step(tinyDataset);
	await trainer.save(folder);
	const longer = await Trainer.resume(folder, {config: {steps: 20, batchSize: undefined}});
	t.like(longer.config, {steps: 20, batchSize: 4, learningRate: 1e-2});
	await rejects(t, () => Trainer.resume(folder, {config: {steps: 0}}), {code: 'ERR_CONFIG', message: /steps is 0/});
});

test('fit writes a run folder: checkpoints, latest, best and config.json', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer({saveEvery: 2, saveKeep: 2});
	await collect(trainer.fit(tinyDataset, {runFolder: folder, validation: tinyDataset}));
	t.deepEqual((await readdir(folder)).sort(), ['best', 'config.json', 'latest', 'step-6', 'step-8']);
	t.is(await readFile(path.join(folder, 'latest'), 'utf8'), 'step-8\n');
	t.is(await readFile(path.join(folder, 'best'), 'utf8'), 'step-8\n');
	t.like(JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8')), {train: {steps: 8}, model: {layers: 2}});
	const files = ['config.json', 'manifest.json', 'model.safetensors', 'tokenizer_dllm.json', 'trainer'];
	t.deepEqual((await readdir(path.join(folder, 'step-8'))).sort(), files);
	t.deepEqual((await readdir(path.join(folder, 'step-8', 'trainer'))).sort(), ['optimizer.safetensors', 'state.json']);
	t.deepEqual(await weights(await Model.load(folder)), await weights(trainer.model));
	t.is((await Trainer.resume(path.join(folder, 'step-6'))).completedSteps, 6);
});

test('keeps the best checkpoint beside the newest ones', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer({saveKeep: 1, learningRate: 1, minLearningRate: 1, warmupSteps: 0});
	await trainer.evaluate(tinyDataset);
	await trainer.save(folder);
	for (let index = 0; index < 2; index++) {
		await trainer.step(tinyDataset); // so large a step only makes it worse
		await trainer.evaluate(tinyDataset);
		await trainer.save(folder);
	}

	t.deepEqual((await readdir(folder)).sort(), ['best', 'config.json', 'latest', 'step-0', 'step-2']);
	t.is(await readFile(path.join(folder, 'best'), 'utf8'), 'step-0\n');
});

test('a checkpoint saved during concurrent calls is of one step', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer();
	await Promise.all([
		trainer.step(tinyDataset),
		trainer.step(tinyDataset),
		trainer.save(folder),
		trainer.step(tinyDataset),
	]);
	t.is(trainer.completedSteps, 3);
	const resumed = await Trainer.resume(folder);
	t.is(resumed.completedSteps, 2);
	await resumed.step(tinyDataset);
	t.deepEqual(await weights(resumed.model), await weights(trainer.model));
});

test('saves the same step again, and survives a best checkpoint that someone removed', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer();
	await trainer.evaluate(tinyDataset);
	await trainer.save(folder);
	await trainer.save(folder);
	await trainer.step(tinyDataset);
	await rm(path.join(folder, 'step-0'), {recursive: true});
	await trainer.evaluate(tinyDataset);
	await trainer.save(folder);
	t.is(await readFile(path.join(folder, 'best'), 'utf8'), 'step-1\n');
});

test('says what is wrong with a run that it cannot resume', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer();
	await trainer.step(tinyDataset);
	await trainer.save(folder);
	const checkpoint = path.join(folder, 'step-1');
	const stateFile = path.join(checkpoint, 'trainer', 'state.json');
	const state = JSON.parse(await readFile(stateFile, 'utf8')) as object;
	await rm(path.join(checkpoint, 'manifest.json')); // it would say that the files have changed
	const resuming = async (change: object, message: RegExp) => {
		await writeFile(stateFile, JSON.stringify({...state, ...change}));
		await rejects(t, () => Trainer.resume(folder), {code: 'ERR_CHECKPOINT', message});
	};
	await resuming({completedSteps: 2}, /optimizer\.safetensors is of step 1, but state\.json beside it of step 2/);
	await resuming({completedSteps: -1}, /state\.json: completedSteps is -1/);
	await resuming({formatVersion: 2}, /formatVersion is 2; accepted: 1/);
	await resuming({train: {steps: 'x'}}, /train\.steps is "x"/);
	await rm(path.join(checkpoint, 'trainer'), {recursive: true});
	await rejects(t, () => Trainer.resume(folder), {
		code: 'ERR_CHECKPOINT',
		message: /only a run that was saved by a trainer/,
	});
});

test('does not take a checkpoint for a run folder', async t => {
	const folder = path.join(await temporaryFolder(t), 'model');
	const trainer = await tinyTrainer();
	await trainer.model.save(folder);
	await rejects(t, () => trainer.save(folder), {code: 'ERR_CHECKPOINT', message: /is a checkpoint, not a run folder/});
	const file = path.join(folder, 'config.json', 'run');
	await rejects(t, () => trainer.save(file), {code: 'ERR_CHECKPOINT', message: /cannot write|ENOTDIR/});
});

test('writes into an existing folder that is no run yet', async t => {
	const folder = await temporaryFolder(t);
	await mkdir(path.join(folder, 'notes'));
	const trainer = await tinyTrainer();
	await trainer.save(folder);
	t.true((await readdir(folder)).includes('notes'));
});

/** A run folder with the checkpoints step-1 to step-3, of which step-2 is the best. */
async function threeSteps(t: ExecutionContext): Promise<{folder: string; trainer: Trainer}> {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = await tinyTrainer({saveKeep: 3});
	for (let step = 1; step <= 3; step++) {
		await trainer.step(tinyDataset);
		if (step === 2) await trainer.evaluate(tinyDataset);
		await trainer.save(folder);
	}

	return {folder, trainer};
}

test('uses the newest other checkpoint when the latest is damaged or missing, and says so', async t => {
	const {folder} = await threeSteps(t);
	const resolving = async (expected: string, message: RegExp) => {
		const {value, warnings} = await warningsOf(() => resolveCheckpoint(folder));
		t.is(value, path.join(folder, expected));
		t.is(warnings.length, 1);
		t.is(warnings[0]!.code, 'DLLM_CHECKPOINT_FALLBACK');
		t.regex(warnings[0]!.message, message);
	};
	await writeFile(path.join(folder, 'step-3', 'trainer', 'state.json'), '{}');
	await resolving(
		'step-2',
		/step-3\/trainer\/state\.json has 2 bytes; accepted: \d+, as manifest\.json says; .*; using \S+step-2 instead/,
	);
	await rm(path.join(folder, 'step-3'), {recursive: true});
	await resolving('step-2', /latest names step-3, which is missing; using \S+step-2 instead/);
	await writeFile(path.join(folder, 'latest'), 'step-1\n');
	await rm(path.join(folder, 'step-1', 'model.safetensors'));
	await resolving('step-2', /cannot read \S+step-1\/model\.safetensors, .*: it does not exist; using \S+step-2/);
	for (const [content, message] of [
		['../step-2', /latest is "\.\.\/step-2"; accepted: the name of a checkpoint, such as step-100; using/],
		['', /latest is ""; accepted/],
		['x'.repeat(1000), /cannot read \S+latest: it has 1000 bytes, more than the 64 allowed/],
	] as const) {
		await writeFile(path.join(folder, 'latest'), content);
		await resolving('step-2', message);
	}

	await rm(path.join(folder, 'latest'));
	await resolving('step-2', /latest is missing; using/);
	await mkdir(path.join(folder, 'latest'));
	await resolving('step-2', /cannot read \S+latest: it is not a regular file; using/);
	t.is((await warningsOf(() => Trainer.resume(folder))).value.completedSteps, 2);
});

test('names every checkpoint when none is whole', async t => {
	const {folder} = await threeSteps(t);
	for (const step of [1, 2, 3]) await writeFile(path.join(folder, `step-${step}`, 'config.json'), '{}');
	const message =
		/step-3\/config\.json has 2 bytes.*; .*step-2\/config\.json has .*; .*step-1\/config.*; checkpoints there: step-3, step-2, step-1$/;
	await rejects(t, () => Trainer.resume(folder), {code: 'ERR_CHECKPOINT', message});
	await rm(path.join(folder, 'step-2', 'manifest.json'));
	await rm(path.join(folder, 'step-2', 'model.safetensors'));
	await rejects(t, () => Model.load(folder), {code: 'ERR_CHECKPOINT', message: /step-2 holds no model\.safetensors/});
});

test('a damaged best checkpoint or pointer does not stop a run from being saved', async t => {
	const {folder, trainer} = await threeSteps(t);
	const saving = async (expected: number) => {
		await trainer.evaluate(tinyDataset);
		const {warnings} = await warningsOf(() => trainer.save(folder));
		t.deepEqual(
			warnings.map(({code}) => code),
			Array(expected).fill('DLLM_BEST_UNREADABLE'),
		);
		t.is(await readFile(path.join(folder, 'best'), 'utf8'), 'step-3\n');
	};
	await writeFile(path.join(folder, 'step-2', 'trainer', 'state.json'), '{"formatVersion": 7}');
	await saving(1);
	await writeFile(path.join(folder, 'best'), '../../etc');
	await saving(1);
	await saving(0);
	await rm(path.join(folder, 'best'));
	await saving(0);
});

test('clears away what killed writers left, of any step, and puts back what they moved aside', async t => {
	const {folder, trainer} = await threeSteps(t);
	const pid = await deadPid();
	const ours = temporarySibling(path.join(folder, 'step-9'), 'tmp');
	const dead = (name: string, kind: 'tmp' | 'old') =>
		temporarySibling(path.join(folder, name), kind).replace(`-${process.pid}-`, `-${pid}-`);
	for (const target of [ours, dead('step-7', 'tmp'), dead('step-1', 'old'), dead('notes', 'tmp')]) await mkdir(target);
	await writeFile(dead('latest', 'tmp'), 'step-');
	await writeFile(dead('metrics.jsonl', 'tmp'), '');
	await rename(path.join(folder, 'step-2'), dead('step-2', 'old'));
	await trainer.step(tinyDataset);
	await trainer.save(folder);
	const names = (await readdir(folder)).sort();
	const kept = ['best', 'config.json', 'latest', 'notes', path.basename(ours), 'step-2', 'step-3', 'step-4'].sort();
	t.deepEqual(
		names.map(name => name.replace(/^notes\..*/, 'notes')),
		kept,
	);
	await rename(path.join(folder, 'step-4'), dead('step-4', 'old'));
	t.is((await Trainer.resume(folder)).completedSteps, 4);
});

test('a run that is continued from an earlier step keeps its own checkpoints', async t => {
	const {folder} = await threeSteps(t);
	const trainer = await Trainer.resume(path.join(folder, 'step-1'), {config: {saveKeep: 2}});
	await trainer.save(folder);
	t.deepEqual((await readdir(folder)).filter(name => name.startsWith('step-')).sort(), ['step-1', 'step-2', 'step-3']);
	t.is((await Trainer.resume(folder)).completedSteps, 1);
	await writeFile(path.join(folder, 'step-1', 'config.json'), '{}');
	const {value, warnings} = await warningsOf(() => resolveCheckpoint(folder));
	t.is(value, path.join(folder, 'step-3'));
	t.is(warnings.length, 1);
});

test('replaces a damaged checkpoint of its own step', async t => {
	const {folder, trainer} = await threeSteps(t);
	await rm(path.join(folder, 'step-3', 'config.json'));
	await trainer.save(folder);
	t.deepEqual((await warningsOf(() => resolveCheckpoint(folder))).warnings, []);
});

test('writes nothing where there is no room', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const checkpoint = {
		step: 1,
		nll: undefined,
		keep: 1,
		description: {},
		build: async () => t.fail('it is refused before anything is written'),
	};
	await rejects(t, () => addCheckpoint(folder, {...checkpoint, bytes: 1e18}), {
		code: 'ERR_CHECKPOINT',
		message: /^cannot write \S+step-1: it needs 888\.2 PiB, [\d.]+ \w+ free$/,
	});
	t.deepEqual(await readdir(folder), []);
});
