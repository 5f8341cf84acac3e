// Run folders: what a trainer saves, what stays, and what cannot be resumed.
import {mkdir, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {Model} from '../lib/model.js';
import {Trainer} from '../lib/trainer.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
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
	const files = ['config.json', 'model.safetensors', 'tokenizer_dllm.json', 'trainer'];
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
