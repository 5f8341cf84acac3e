// Trainer: dropout, the moving average, recomputed activations, steps that are not finite, early stopping.
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {Batch} from '../lib/batch.js';
import {Dataset} from '../lib/dataset.js';
import {Model} from '../lib/model.js';
import {type EvalStats, type StepStats, Trainer} from '../lib/trainer.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {readSafetensors} from './support/safetensors.js';
import {tinyModel, tinyTokenizer, tinyTraining} from './support/tiny.js';
import {collect, tinyDataset, tinyTrainer, weights} from './support/training.js';

const endless: Batch = {
	batch: 1,
	length: 2,
	tokens: Int32Array.of(0, 1),
	targets: Int32Array.of(0, 1),
	// finite weights whose gradient is not
	lossWeights: Float32Array.of(3e38, 3e38),
};

test('dropout acts in training and nowhere else', async t => {
	const options = {tokenizer: tinyTokenizer, seed: 1};
	const plain = await Model.create(tinyModel, options);
	const dropping = await Model.create({...tinyModel, dropout: 0.5}, options);
	const [a, b] = [new Trainer(plain, tinyTraining), new Trainer(dropping, tinyTraining)];
	t.is((await a.evaluate(tinyDataset)).nll, (await b.evaluate(tinyDataset)).nll);
	t.not((await a.step(tinyDataset)).loss, (await b.step(tinyDataset)).loss);
	await rejects(t, () => Model.create({...tinyModel, dropout: 1}, options), {code: 'ERR_CONFIG', message: /dropout/});
});

test('dropout is written to and read from a checkpoint', async t => {
	const folder = path.join(await temporaryFolder(t), 'model');
	const model = await Model.create({...tinyModel, dropout: 0.25}, {tokenizer: tinyTokenizer});
	await model.save(folder);
	t.is((await Model.load(folder)).config.dropout, 0.25);
});

test('recomputed activations give the same weights', async t => {
	const plain = await tinyTrainer();
	const recomputing = await tinyTrainer({activationRecompute: true});
	t.deepEqual(await collectLosses(plain), await collectLosses(recomputing));
	t.deepEqual(await weights(plain.model), await weights(recomputing.model));
});

test('a checkpoint holds the average beside the weights: loading takes the average, resuming both', async t => {
	const folder = await temporaryFolder(t);
	const trainer = await tinyTrainer({emaDecay: 0.9});
	await collect(trainer.fit(tinyDataset, {runFolder: folder}));
	const evaluated = await trainer.evaluate(tinyDataset);

	const averaged = await Model.load(folder);
	const raw = await Model.load(folder, {ema: false});
	t.deepEqual(await weights(raw), await weights(trainer.model));
	t.notDeepEqual(await weights(averaged), await weights(raw));
	t.is((await new Trainer(averaged, tinyTraining).evaluate(tinyDataset)).nll, evaluated.nll);
	const stored = await readSafetensors(path.join(folder, 'step-8', 'ema.safetensors'));
	t.deepEqual(
		[...stored.keys()].sort(),
		averaged
			.parameters()
			.map(({name}) => name)
			.sort(),
	);

	const resumed = await Trainer.resume(folder, {config: {steps: 10}});
	t.deepEqual(await weights(resumed.model), await weights(trainer.model));
	t.is((await resumed.evaluate(tinyDataset)).nll, evaluated.nll);
	await rejects(t, () => Model.load(folder, {ema: 1 as unknown as boolean}), {code: 'ERR_CONFIG', message: /ema/});
});

test('an average can be begun and ended when a run is resumed', async t => {
	const folder = await temporaryFolder(t);
	await collect((await tinyTrainer()).fit(tinyDataset, {runFolder: folder}));
	const begun = await Trainer.resume(folder, {config: {steps: 12, emaDecay: 0.5}});
	await collect(begun.fit(tinyDataset, {runFolder: folder}));
	t.notDeepEqual(await weights(await Model.load(folder)), await weights(begun.model));
	const ended = await Trainer.resume(folder, {config: {steps: 16, emaDecay: 0}});
	await collect(ended.fit(tinyDataset, {runFolder: folder}));
	t.deepEqual(await weights(await Model.load(folder)), await weights(ended.model));
});

test('a step that is not finite throws, changes nothing, and the run can go on', async t => {
	const trainer = await tinyTrainer();
	await trainer.step(tinyDataset);
	const before = await weights(trainer.model);
	await rejects(t, () => trainer.step(endless), {
		code: 'ERR_NON_FINITE',
		message: /step 2 has loss .*; the weights are those before it/,
	});
	t.is(trainer.completedSteps, 1);
	t.deepEqual(await weights(trainer.model), before);

	const untroubled = await tinyTrainer();
	await untroubled.step(tinyDataset);
	t.is((await trainer.step(tinyDataset)).loss, (await untroubled.step(tinyDataset)).loss);
});

test('`skip` goes on with the next step, and gives up after ten in a row', async t => {
	const trainer = await tinyTrainer({onNonFinite: 'skip'});
	t.like(await trainer.step(tinyDataset), {step: 1, updated: true});
	const before = await weights(trainer.model);
	t.like(await trainer.step(endless), {step: 2, updated: false});
	t.is(trainer.completedSteps, 2);
	t.deepEqual(await weights(trainer.model), before);
	t.like(await trainer.step(tinyDataset), {step: 3, updated: true});
	for (let step = 4; step < 13; step++) t.like(await trainer.step(endless), {step, updated: false});
	await rejects(t, () => trainer.step(endless), {code: 'ERR_NON_FINITE', message: /10th such step in a row/});
	t.is(trainer.completedSteps, 12);
});

test('`rollback` goes back to the last checkpoint and does not repeat its steps', async t => {
	const folder = await temporaryFolder(t);
	const trainer = await tinyTrainer({onNonFinite: 'rollback', emaDecay: 0.9, steps: 20});
	await rejects(t, () => collect(trainer.fit(tinyDataset)), {code: 'ERR_CONFIG', message: /runFolder/});
	await rejects(t, () => trainer.step(endless), {code: 'ERR_NON_FINITE', message: /no checkpoint has been saved/});
	for (let step = 0; step < 3; step++) await trainer.step(tinyDataset);
	await trainer.save(folder);
	const saved = await weights(trainer.model);
	const {nll} = await trainer.evaluate(tinyDataset);
	await trainer.step(tinyDataset);
	t.notDeepEqual(await weights(trainer.model), saved);
	t.like(await trainer.step(endless), {step: 5, updated: false});
	t.is(trainer.completedSteps, 5);
	t.deepEqual(await weights(trainer.model), saved);
	t.is((await trainer.evaluate(tinyDataset)).nll, nll);

	const resumed = await Trainer.resume(folder, {config: {steps: 20}});
	t.is((await resumed.step(tinyDataset)).step, 4);
	t.is((await trainer.step(tinyDataset)).step, 6);
});

test('a rollback to a checkpoint without an average starts the average again at its weights', async t => {
	const folder = await temporaryFolder(t);
	await collect((await tinyTrainer()).fit(tinyDataset, {runFolder: folder}));
	const config = {steps: 20, emaDecay: 0.9, onNonFinite: 'rollback'} as const;
	const trainer = await Trainer.resume(folder, {config});
	const {nll} = await trainer.evaluate(tinyDataset);
	await trainer.step(tinyDataset);
	t.like(await trainer.step(endless), {step: 10, updated: false});
	t.is((await trainer.evaluate(tinyDataset)).nll, nll);
});

test('an evaluation of the caller neither replaces one of fit nor counts for early stopping', async t => {
	const trainer = await tinyTrainer();
	const evaluated: number[] = [];
	for await (const {kind, step} of trainer.fit(tinyDataset, {validation: tinyDataset})) {
		if (kind === 'eval') evaluated.push(step);
		else await trainer.evaluate(tinyDataset);
	}

	t.deepEqual(evaluated, [4, 8]);
});

test('fit with `rollback` begins with a checkpoint', async t => {
	const folder = await temporaryFolder(t);
	const trainer = await tinyTrainer({onNonFinite: 'rollback', steps: 1, saveEvery: 0});
	const loop = trainer.fit(tinyDataset, {runFolder: folder});
	await loop.next();
	t.is(await readFile(path.join(folder, 'latest'), 'utf8'), 'step-0\n');
	await collect(loop);
	t.is(await readFile(path.join(folder, 'latest'), 'utf8'), 'step-1\n');
});

test('early stopping ends fit, saves, and is remembered by a resumed run', async t => {
	const folder = await temporaryFolder(t);
	const config = {steps: 100, evalEvery: 2, saveEvery: 0, learningRate: 1e-30, minLearningRate: 0} as const;
	const trainer = await tinyTrainer({...config, earlyStoppingPatience: 2});
	const options = {validation: tinyDataset, runFolder: folder};
	const all: (StepStats | EvalStats)[] = await collect(trainer.fit(tinyDataset, options));
	// nothing is learned: the first evaluation is the best, the second and third are not better
	t.deepEqual(
		all.filter(({kind}) => kind === 'eval').map(({step}) => step),
		[2, 4, 6],
	);
	t.true(trainer.stoppedEarly);
	t.is(await readFile(path.join(folder, 'latest'), 'utf8'), 'step-6\n');

	const resumed = await Trainer.resume(folder);
	t.true(resumed.stoppedEarly);
	t.deepEqual(await collect(resumed.fit(tinyDataset, options)), []);
	const longer = await Trainer.resume(folder, {config: {earlyStoppingPatience: 3}});
	t.false(longer.stoppedEarly);
	t.is((await collect(longer.fit(tinyDataset, options))).at(-1)?.step, 8);
});

async function collectLosses(trainer: Trainer): Promise<number[]> {
	const losses: number[] = [];
	for (const stats of await collect(trainer.fit(Dataset.fromTokens(Int32Array.from({length: 64}, (_, i) => i % 5)))))
		if (stats.kind === 'step') losses.push(stats.loss);
	return losses;
}
