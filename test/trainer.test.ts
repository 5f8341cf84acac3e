// Trainer: learning, determinism, resuming, and what it refuses.
import path from 'node:path';
import test from 'ava';
import {Dataset} from '../lib/dataset.js';
import {Model} from '../lib/model.js';
import {type EvalStats, type StepStats, Trainer} from '../lib/trainer.js';
import {fails, rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {tinyModel, tinyTokenizer, tinyTraining} from './support/tiny.js';
import {collect, tinyDataset, tinyTrainer, weights} from './support/training.js';

test('counts its steps and reports each', async t => {
	const trainer = await tinyTrainer();
	t.is(trainer.completedSteps, 0);
	await trainer.step(tinyDataset);
	const stats = await trainer.step(tinyDataset);
	t.like(stats, {kind: 'step', step: 2, tokens: 4 * 24});
	t.true(stats.loss > 0 && stats.gradientNorm > 0 && stats.seconds > 0);
	t.is(trainer.completedSteps, 2);
});

test('follows the learning-rate schedule: warm-up, then a cosine to the minimum', async t => {
	const trainer = await tinyTrainer({steps: 6, warmupSteps: 2, learningRate: 1, minLearningRate: 0.2});
	const rates: number[] = [];
	for await (const stats of trainer.fit(tinyDataset)) if (stats.kind === 'step') rates.push(stats.learningRate);
	const cosine = (progress: number) => 0.2 + 0.8 * 0.5 * (1 + Math.cos(Math.PI * progress));
	for (const [index, expected] of [0.5, 1, 1, cosine(0.25), cosine(0.5), cosine(0.75)].entries()) {
		t.true(Math.abs(rates[index]! - expected) < 1e-6, `step ${index + 1}: ${rates[index]}, expected ${expected}`);
	}
});

test('stays at the peak and decays at the end with the wsd schedule', async t => {
	const config = {steps: 6, warmupSteps: 2, learningRate: 1, minLearningRate: 0.2} as const;
	const trainer = await tinyTrainer({...config, learningRateSchedule: 'wsd', decaySteps: 2});
	const rates: number[] = [];
	for await (const stats of trainer.fit(tinyDataset)) if (stats.kind === 'step') rates.push(stats.learningRate);
	for (const [index, expected] of [0.5, 1, 1, 1, 1, 0.6].entries()) {
		t.true(Math.abs(rates[index]! - expected) < 1e-6, `step ${index + 1}: ${rates[index]}, expected ${expected}`);
	}
});

test('gradient accumulation takes the same steps as the whole batch', async t => {
	const losses = async (gradientAccumulation: number) => {
		const trainer = await tinyTrainer({steps: 5, gradientAccumulation});
		const found: number[] = [];
		for await (const stats of trainer.fit(tinyDataset)) if (stats.kind === 'step') found.push(stats.loss);
		return found;
	};

	const whole = await losses(1);
	for (const [step, loss] of (await losses(4)).entries()) {
		t.true(Math.abs(loss / whole[step]! - 1) < 1e-4, `step ${step + 1}: ${loss}, expected ${whole[step]}`);
	}
});

test('learns a text by heart', async t => {
	const trainer = await tinyTrainer({steps: 300, batchSize: 16});
	const before = await trainer.evaluate(tinyDataset);
	for await (const _ of trainer.fit(tinyDataset));
	const after = await trainer.evaluate(tinyDataset);
	t.true(Math.abs(before.nll - Math.log(tinyTokenizer.vocabSize - 1)) < 0.3, `before: ${before.nll}`);
	t.true(after.nll < 0.6 * before.nll, `after: ${after.nll}`);
	t.is(after.bitsPerToken, after.nll / Math.LN2);
	t.is(after.perplexity, Math.exp(after.nll));
	t.true(after.standardError > 0);
});

test('trains the autoregressive baseline', async t => {
	const trainer = await tinyTrainer({steps: 60, objective: {kind: 'next_token'}});
	const before = await trainer.evaluate(tinyDataset);
	for await (const _ of trainer.fit(tinyDataset));
	t.true((await trainer.evaluate(tinyDataset)).nll < 0.7 * before.nll);
});

test('trains the same weights from the same seeds, and others from another', async t => {
	const trainers = await Promise.all([{}, {}, {seed: 1}].map(config => tinyTrainer(config)));
	for (const trainer of trainers) await collect(trainer.fit(tinyDataset));
	const [a, b, other] = await Promise.all(trainers.map(({model}) => weights(model)));
	t.deepEqual(a, b);
	t.notDeepEqual(a, other);
});

test('evaluates without changing anything, always the same', async t => {
	const trainer = await tinyTrainer();
	await trainer.step(tinyDataset);
	const before = await weights(trainer.model);
	t.deepEqual(await trainer.evaluate(tinyDataset), await trainer.evaluate(tinyDataset));
	t.deepEqual(await weights(trainer.model), before);
});

test('fit yields every step, evaluates when due and after the last step, and ends', async t => {
	const trainer = await tinyTrainer({steps: 7, evalEvery: 3});
	const all: (StepStats | EvalStats)[] = await collect(trainer.fit(tinyDataset, {validation: tinyDataset}));
	const steps = (kind: string) => all.filter(stats => stats.kind === kind).map(({step}) => step);
	t.deepEqual(steps('step'), [1, 2, 3, 4, 5, 6, 7]);
	t.deepEqual(steps('eval'), [3, 6, 7]);
	t.deepEqual(await collect(trainer.fit(tinyDataset)), []);
});

test('fit ends with ERR_ABORTED between steps, and can go on', async t => {
	const trainer = await tinyTrainer();
	const controller = new AbortController();
	const fit = async () => {
		for await (const {step} of trainer.fit(tinyDataset, {signal: controller.signal}))
			if (step === 3) controller.abort();
	};
	await rejects(t, fit, {code: 'ERR_ABORTED', message: /after step 3/});
	t.is(trainer.completedSteps, 3);
	await collect(trainer.fit(tinyDataset));
	const whole = await tinyTrainer();
	await collect(whole.fit(tinyDataset));
	t.deepEqual(await weights(trainer.model), await weights(whole.model));
});

test('a resumed run equals one that never stopped, bit for bit', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const whole = await tinyTrainer();
	const expected = await collect(whole.fit(tinyDataset));

	const first = await tinyTrainer();
	for await (const {step} of first.fit(tinyDataset)) if (step === 5) break;
	await first.save(folder);
	const second = await Trainer.resume(folder);
	t.is(second.completedSteps, 5);
	t.deepEqual(second.config, first.config);
	t.deepEqual(second.model.tokenizer?.description, tinyTokenizer.description);
	const rest = await collect(second.fit(tinyDataset));
	const numbers = ({kind, step, ...stats}: StepStats | EvalStats) => [
		kind,
		step,
		'loss' in stats && [stats.loss, stats.gradientNorm],
	];
	t.deepEqual(rest.map(numbers), expected.slice(5).map(numbers));
	t.deepEqual(await weights(second.model), await weights(whole.model));
});

test('refuses datasets that do not fit the model', async t => {
	const trainer = await tinyTrainer();
	const data = {code: 'ERR_DATA'} as const;
	await rejects(t, () => trainer.step(Dataset.fromTokens([1, 2, 3])), {
		...data,
		message: /3 tokens; accepted: at least 24/,
	});
	await rejects(t, () => trainer.evaluate(Dataset.fromTokens(new Array(30).fill(99))), {
		...data,
		message: /is 99, at place 0; the model's vocabulary/,
	});
	await rejects(t, () => trainer.step({} as never), {code: 'ERR_CONFIG', message: /batch\.batch is missing/});
	await rejects(t, () => trainer.evaluate({} as never), {
		code: 'ERR_CONFIG',
		message: /data of evaluate is \{\}; accepted: a Dataset/,
	});
	t.is(trainer.completedSteps, 0);
});

test('stops a run whose loss is no longer finite', async t => {
	const trainer = await tinyTrainer({
		steps: 50,
		learningRate: 1e30,
		minLearningRate: 1e30,
		warmupSteps: 0,
		gradientClip: 0,
	});
	await rejects(t, () => collect(trainer.fit(tinyDataset)), {
		code: 'ERR_NON_FINITE',
		message: /step \d+ has loss .* and gradient norm .*; the weights are those before it/,
	});
});

test('refuses wrong arguments at once', async t => {
	fails(t, () => new Trainer({} as never), {
		code: 'ERR_CONFIG',
		message: /model of a Trainer is \{\}; accepted: a Model/,
	});
	const model = await Model.create(tinyModel);
	fails(t, () => new Trainer(model, {steps: -1}), {code: 'ERR_CONFIG', message: /steps is -1/});
	fails(t, () => new Trainer(model, {contextLength: 25}), {code: 'ERR_CONFIG', message: /at most the model's 24/});
});

test('refuses calls after dispose; the model stays usable', async t => {
	const trainer = await tinyTrainer();
	await trainer.step(tinyDataset);
	trainer.dispose();
	trainer.dispose();
	await rejects(t, () => trainer.step(tinyDataset), {code: 'ERR_DISPOSED', message: /trainer has been disposed/});
	await trainer[Symbol.asyncDispose]();
	t.is((await trainer.model.forward({tokens: Int32Array.of(1), batch: 1, length: 1})).shape[0], 1);
	const another = new Trainer(trainer.model, tinyTraining);
	trainer.model.dispose();
	await rejects(t, () => another.step(tinyDataset), {code: 'ERR_DISPOSED', message: /disposed/});
});
