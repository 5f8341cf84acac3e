// Trainer: evaluations that end early, and the config of a resumed run.
import path from 'node:path';
import test from 'ava';
import type {TrainConfig} from '../lib/config.js';
import {Trainer} from '../lib/trainer.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {collect, tinyDataset, tinyTrainer} from './support/training.js';

const aborted = {code: 'ERR_ABORTED', message: /aborted/} as const;

/** So many batches that an evaluation takes minutes, unless it is ended. */
const endless = {evalBatches: 2 ** 20};

test('a signal ends an evaluation, before and while it runs', async t => {
	const trainer = await tinyTrainer(endless);
	const reason = new Error('enough');
	const before = trainer.evaluate(tinyDataset, {signal: AbortSignal.abort(reason)});
	t.is((await t.throwsAsync(before))?.cause, reason);
	const controller = new AbortController();
	const running = trainer.evaluate(tinyDataset, {signal: controller.signal});
	setTimeout(() => controller.abort(), 50);
	const begin = performance.now();
	await rejects(t, () => running, aborted);
	t.true(performance.now() - begin < 10_000);
	t.is((await trainer.step(tinyDataset)).step, 1, 'the trainer goes on');
});

test('fit hands its signal to the evaluation', async t => {
	const trainer = await tinyTrainer({...endless, evalEvery: 1});
	const controller = new AbortController();
	const fit = async () => {
		for await (const _ of trainer.fit(tinyDataset, {validation: tinyDataset, signal: controller.signal}))
			setTimeout(() => controller.abort(), 50);
	};
	await rejects(t, fit, aborted);
	t.is(trainer.completedSteps, 1);
});

test('dispose ends a running evaluation', async t => {
	const trainer = await tinyTrainer(endless);
	await trainer.step(tinyDataset);
	const running = trainer.evaluate(tinyDataset);
	setTimeout(() => trainer.dispose(), 50);
	const error = (await t.throwsAsync(running)) as {code?: string};
	t.true(error.code === 'ERR_ABORTED' || error.code === 'ERR_DISPOSED', error.code);
	await trainer[Symbol.asyncDispose]();
});

test('a signal that comes after an evaluation changes nothing', async t => {
	const trainer = await tinyTrainer();
	const controller = new AbortController();
	const {nll} = await trainer.evaluate(tinyDataset, {signal: controller.signal});
	controller.abort();
	t.is((await trainer.evaluate(tinyDataset)).nll, nll);
});

test('a resumed run keeps the keys of its objective that are not given', async t => {
	const folder = await temporaryFolder(t);
	const save = async (objective: TrainConfig['objective']) => {
		const trainer = await tinyTrainer({objective, steps: 1});
		await collect(trainer.fit(tinyDataset));
		const run = path.join(folder, objective?.kind ?? 'default');
		await trainer.save(run);
		return run;
	};
	const masked = await save({kind: 'masked', minTime: 0.25, randomLengthFraction: 0.5});
	const causal = await save({kind: 'next_token'});
	const objectiveAfter = async (run: string, objective: object) =>
		(await Trainer.resume(run, {config: {objective}})).config.objective;
	const saved = {kind: 'masked', minTime: 0.25, randomLengthFraction: 0.5} as const;
	t.deepEqual(await objectiveAfter(masked, {}), saved);
	t.deepEqual(await objectiveAfter(masked, {minTime: 0.1, kind: undefined}), {...saved, minTime: 0.1});
	t.deepEqual(await objectiveAfter(masked, {kind: 'masked', randomLengthFraction: 0}), {
		...saved,
		randomLengthFraction: 0,
	});
	t.deepEqual(await objectiveAfter(causal, {}), {kind: 'next_token'});
	const config = {code: 'ERR_CONFIG'} as const;
	await rejects(t, () => objectiveAfter(causal, {minTime: 0.1}), {
		...config,
		message: /unknown key "minTime" in objective/,
	});
	await rejects(t, () => objectiveAfter(causal, {kind: 'masked'}), {
		...config,
		message: /objective\.kind is "masked"; accepted: "next_token", which the run was started with/,
	});
	await rejects(t, () => objectiveAfter(masked, {kind: 'next_token'}), {...config, message: /accepted: "masked"/});
	await rejects(t, () => objectiveAfter(masked, [] as never), {...config, message: /objective is \[\]/});
});
