// Logits, losses, gradients, optimizer steps and decoding traces equal independent implementations.
import {readFileSync} from 'node:fs';
import test from 'ava';
import {Model} from '../lib/model.js';
import {Sampler} from '../lib/sampler.js';
import {fixture} from './support/folders.js';
import {checkModelVector, checkOptimizerVector} from './support/vector-checks.js';
import {modelVectors} from './support/vectors.js';

for (const name of modelVectors) {
	test(`${name}: logits, loss and every gradient`, t => checkModelVector(t, fixture('vectors', name)));
}

test('gpt2-adamw: losses, gradient norms and weights over three steps', t =>
	checkOptimizerVector(t, fixture('vectors', 'gpt2-adamw')));

type Trace = {
	readonly name: string;
	readonly seed: number;
	readonly prompt: readonly number[];
	readonly output: readonly number[];
	readonly forward_passes: number;
	readonly options: {
		readonly steps: number;
		readonly gen_length: number;
		readonly block_length: number;
		readonly threshold?: number;
	};
	/** The tokens given to each pass. */
	readonly canvases: readonly (readonly number[])[];
};

const traces = (
	JSON.parse(readFileSync(fixture('vectors', 'llada-decode', 'traces.json'), 'utf8')) as {traces: Trace[]}
).traces;

for (const {name, seed, prompt, output, options, canvases, forward_passes: passes} of traces) {
	if (!/^(vanilla|threshold)/.test(name)) continue; // the others use a cache or guidance
	test(`llada-decode ${name} ${seed}: every canvas and the result, token for token`, async t => {
		const {steps, gen_length: length, block_length: blockLength, threshold} = options;
		// Fast-dLLM does not look at its steps where it has a threshold.
		const rule = threshold === undefined ? {steps} : {threshold};
		const sampler = new Sampler(await Model.load(fixture('vectors', 'llada-masked')), {length, blockLength, ...rule});
		const found: number[][] = [];
		for await (const {canvas} of sampler.stream({prompt})) found.push([...canvas]);
		t.deepEqual(found, [...canvases.slice(1), output]);

		const sample = await sampler.sample({prompt});
		t.deepEqual([...sample.tokens], output.slice(prompt.length));
		t.is(sample.forwardPasses, passes);
		t.is(sample.tokensPerForward, length / passes);
	});
}
