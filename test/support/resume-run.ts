// A process that trains a small model from its first or a later step to the last, and prints what came of it as JSON:
// node resume-run.js masked|next_token float32|bfloat16 RUN_FOLDER [CHECKPOINT]
import {createHash} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type {TrainConfig} from '../../lib/config.js';
import {Dataset} from '../../lib/dataset.js';
import type {DType} from '../../lib/devices.js';
import {Model} from '../../lib/model.js';
import {Sampler} from '../../lib/sampler.js';
import {Trainer} from '../../lib/trainer.js';

export type RunResult = {
	/** Of every step taken, by its number. */
	readonly losses: Readonly<Record<string, number>>;
	/** SHA-256 of weights, moments and average after the last step. */
	readonly files: Readonly<Record<string, string>>;
	readonly samples: readonly (readonly number[])[];
};

const STEPS = 60;

const MASK = 30;

// Wide and long enough that every kernel splits its work between threads.
const model = {
	layers: 2,
	heads: 4,
	kvHeads: 2,
	width: 64,
	mlpWidth: 160,
	contextLength: 72,
	vocabSize: MASK + 1,
	mlp: 'swiglu',
	dropout: 0.1,
} as const;

const training = {
	steps: STEPS,
	batchSize: 5,
	gradientAccumulation: 2,
	emaDecay: 0.9,
	learningRate: 1e-2,
	evalBatches: 1,
	evalEvery: 20,
	saveKeep: STEPS,
} as const satisfies TrainConfig;

const data = Dataset.fromTokens(Int32Array.from({length: 3000}, (_, index) => (index * index + 3 * index) % MASK));

async function main([kind, dtype, runFolder, checkpoint]: readonly string[]): Promise<RunResult> {
	const config = {...training, objective: {kind: kind as 'masked' | 'next_token'}};
	const trainer =
		checkpoint === undefined
			? new Trainer(await Model.create(model, {dtype: dtype as DType}), {...config, saveEvery: 1})
			: await Trainer.resume(checkpoint, {config: {saveEvery: 0}});
	if (trainer.model.dtype !== dtype) throw new Error(`the dtype is ${trainer.model.dtype}, expected ${dtype}`);
	const losses: Record<string, number> = {};
	for await (const stats of trainer.fit(data, {validation: data, runFolder})) {
		losses[`${stats.kind} ${stats.step}`] = stats.kind === 'step' ? stats.loss : stats.nll;
	}

	const files: Record<string, string> = {};
	for (const name of ['model.safetensors', 'ema.safetensors', 'trainer/optimizer.safetensors']) {
		const bytes = await readFile(path.join(runFolder!, `step-${STEPS}`, name));
		files[name] = createHash('sha256').update(bytes).digest('hex');
	}

	using sampler = new Sampler(trainer.model, {length: 40, temperature: 1});
	const prompts = Array.from({length: 8}, (_, index) => Array.from({length: 3 * index}, () => index));
	const together = await sampler.sampleBatch(prompts.map((prompt, seed) => ({prompt, seed})));
	const reversed = await sampler.sampleBatch(prompts.map((prompt, seed) => ({prompt, seed})).reverse());
	const alone = [];
	for (const [seed, prompt] of prompts.entries()) alone.push(await sampler.sample({prompt, seed}));
	const samples = [together, reversed.reverse(), alone].flat().map(({tokens}) => [...tokens]);
	return {losses, files, samples};
}

process.stdout.write(JSON.stringify(await main(process.argv.slice(2))));
