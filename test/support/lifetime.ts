// What the tests of lifetimes share: seeded choices, objects whose calls take milliseconds, and how promises ended.
import {mkdtemp} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {Dataset} from '../../lib/dataset.js';
import {DllmError} from '../../lib/errors.js';
import {Model} from '../../lib/model.js';
import {Sampler} from '../../lib/sampler.js';
import {Trainer} from '../../lib/trainer.js';

/** Random choices that a seed repeats (mulberry32). */
export class Draws {
	#state: number;

	constructor(seed: number) {
		this.#state = seed;
	}

	/** An integer in [0, bound). */
	below(bound: number): number {
		this.#state = (this.#state + 0x6d2b79f5) | 0;
		let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
		bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
		return ((bits ^ (bits >>> 14)) >>> 0) % bound;
	}

	pick<T>(items: readonly T[]): T {
		return items[this.below(items.length)]!;
	}

	/** Up to `milliseconds`: none, one turn of the event loop, or a timer. */
	async pause(milliseconds: number): Promise<void> {
		const time = this.below(milliseconds + 2) - 2;
		if (time >= 0) await delay(time);
		else if (time === -1) await new Promise(setImmediate);
	}
}

export const vocabSize = 40;
export const text = Dataset.fromTokens(Int32Array.from({length: 3000}, (_, index) => (index * index) % 37));

/** One step takes some milliseconds. */
const modelConfig = {layers: 2, heads: 2, width: 64, contextLength: 48, vocabSize};
export const trainConfig = {
	steps: 1000,
	batchSize: 12,
	learningRate: 1e-3,
	evalBatches: 4,
	evalEvery: 2,
	saveEvery: 3,
} as const;
const sampleConfig = {length: 24, temperature: 1} as const;

export type Objects = {readonly model: Model; readonly trainer: Trainer; readonly sampler: Sampler};

export async function createObjects(seed: number): Promise<Objects> {
	const model = await Model.create(modelConfig, {seed});
	const trainer = new Trainer(model, {...trainConfig, seed});
	const sampler = new Sampler(model, {...sampleConfig, seed});
	return {model, trainer, sampler};
}

export const batch = {
	batch: 4,
	length: 48,
	tokens: new Int32Array(4 * 48).fill(3),
	targets: new Int32Array(4 * 48).fill(5),
	lossWeights: new Float32Array(4 * 48).fill(0.01),
};

/** Calls that take a while, each with the objects it needs. */
export const calls: readonly {
	readonly name: string;
	readonly needs: readonly (keyof Objects)[];
	readonly start: (objects: Objects, folder: string, signal?: AbortSignal) => Promise<unknown>;
	/** Ends early by a signal. */
	readonly abortable?: true;
	/** Goes through Node's own file system calls. */
	readonly usesFiles?: true;
}[] = [
	{name: 'step', needs: ['model', 'trainer'], start: ({trainer}) => trainer.step(text)},
	{name: 'step on a batch', needs: ['model', 'trainer'], start: ({trainer}) => trainer.step(batch)},
	{
		name: 'evaluate',
		needs: ['model', 'trainer'],
		start: ({trainer}, _, signal) => trainer.evaluate(text, {signal}),
		abortable: true,
	},
	{
		name: 'fit',
		needs: ['model', 'trainer'],
		start: ({trainer}, runFolder, signal) => fit(trainer, runFolder, signal),
		abortable: true,
		usesFiles: true,
	},
	{
		name: 'save a run',
		needs: ['model', 'trainer'],
		start: ({trainer}, folder) => trainer.save(folder),
		usesFiles: true,
	},
	{
		name: 'sample',
		needs: ['model', 'sampler'],
		start: ({sampler}, _, signal) => sampler.sample({signal}),
		abortable: true,
	},
	{
		name: 'sampleBatch',
		needs: ['model', 'sampler'],
		start: ({sampler}, _, signal) => sampler.sampleBatch([{prompt: [1, 2]}, {prompt: [3]}, {signal}]),
		abortable: true,
	},
	{
		name: 'stream',
		needs: ['model', 'sampler'],
		start: ({sampler}, _, signal) => drain(sampler.stream({prompt: [7], signal})),
		abortable: true,
	},
	{name: 'forward', needs: ['model'], start: ({model}) => model.forward(batch)},
	{name: 'lossAndGradients', needs: ['model'], start: ({model}) => model.lossAndGradients(batch)},
	{
		name: 'save a model',
		needs: ['model'],
		start: async ({model}, folder) => model.save(await mkdtemp(path.join(folder, 'model-')), {overwrite: true}),
		usesFiles: true,
	},
];

/** Some steps of a run, with evaluations and checkpoints. */
async function fit(trainer: Trainer, runFolder: string, signal: AbortSignal | undefined): Promise<void> {
	const until = trainer.completedSteps + 4;
	for await (const stats of trainer.fit(text, {validation: text, runFolder, signal})) if (stats.step >= until) break;
}

async function drain(iterable: AsyncIterable<unknown>): Promise<void> {
	for await (const _ of iterable);
}

/** 'done', the code of the rejection, or that the promise was still open after a minute. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
	const watch = new AbortController();
	const hanging = delay(60_000, 'never settled', {signal: watch.signal}).catch(() => 'stopped watching');
	const settled = promise.then(
		() => 'done',
		(error: unknown) => (error instanceof DllmError ? error.code : `${error instanceof Error ? error.stack : error}`),
	);
	try {
		return await Promise.race([settled, hanging]);
	} finally {
		watch.abort();
	}
}

/** How many promises ended in which way. */
export class Tally {
	readonly #counts = new Map<string, number>();
	started = 0;
	settled = 0;

	add(what: string, outcome: string): void {
		const key = `${what}: ${outcome}`;
		this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
		if (outcome !== 'never settled') this.settled++;
	}

	/** Promises that ended in this way, of all calls together. */
	count(outcome: string): number {
		return [...this.#counts].reduce((sum, [key, count]) => (key.endsWith(`: ${outcome}`) ? sum + count : sum), 0);
	}

	toString(): string {
		return [...this.#counts].map(([key, count]) => `${key} ${count}`).join(', ');
	}
}

export async function makeFolder(): Promise<string> {
	return mkdtemp(path.join(os.tmpdir(), 'dllm-lifetime-'));
}
