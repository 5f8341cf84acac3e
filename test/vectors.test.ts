// Logits, losses, gradients, optimizer steps and decoding traces equal independent implementations.
import {readFileSync} from 'node:fs';
import test from 'ava';
import {Model} from '../lib/model.js';
import {Sampler} from '../lib/sampler.js';
import {Trainer} from '../lib/trainer.js';
import {relativeError} from './support/expect.js';
import {fixture} from './support/folders.js';
import {readVector} from './support/vectors.js';

const names = [
	'gpt2-masked',
	'gpt2-causal',
	'gpt2-shifted-annealed',
	'gpt2-block-diffusion',
	'llada-masked',
	'dream-shifted',
];

for (const name of names) {
	test(`${name}: logits, loss and every gradient`, async t => {
		const {folder, tensors, input, loss: expectedLoss} = await readVector(name);
		const model = await Model.load(folder);
		const {logits, shape} = await model.forward(input);
		const expectedLogits = tensors.get('logits')!;
		t.deepEqual(shape, expectedLogits.shape);
		t.true(relativeError(logits, expectedLogits.data) <= 1e-5, `logits: ${relativeError(logits, expectedLogits.data)}`);

		const {loss, gradients} = await model.lossAndGradients(input);
		t.true(Math.abs(loss / expectedLoss - 1) <= 1e-5, `loss: ${loss}, expected ${expectedLoss}`);
		const expected = new Map([...tensors].filter(([key]) => key.startsWith('grad.')));
		t.is(gradients.size, expected.size);
		for (const {name: parameter, shape} of model.parameters()) {
			const {data, shape: expectedShape} = expected.get(`grad.${parameter}`)!;
			t.deepEqual(shape, expectedShape, parameter);
			const error = relativeError(gradients.get(parameter)!, data);
			t.true(error <= 1e-4, `${parameter}: ${error}`);
		}

		model.dispose();
	});
}

test('gpt2-adamw: losses, gradient norms and weights over three steps', async t => {
	const {folder, tensors, input, losses, gradient_norms: norms} = await readVector('gpt2-adamw');
	const model = await Model.load(folder);
	const trainer = new Trainer(model, {
		learningRate: 1e-2,
		learningRateSchedule: 'constant',
		warmupSteps: 0,
		betas: [0.9, 0.95],
		epsilon: 1e-5,
		weightDecay: 0.1,
		gradientClip: 1,
	});
	for (const [index, expected] of losses.entries()) {
		const {step, loss, gradientNorm, learningRate} = await trainer.step(input);
		t.is(step, index + 1);
		t.is(learningRate, 1e-2);
		t.true(Math.abs(loss / expected - 1) <= 1e-4, `loss: ${loss}, expected ${expected}`);
		t.true(Math.abs(gradientNorm / norms[index]! - 1) <= 1e-4, `norm: ${gradientNorm}, expected ${norms[index]}`);
	}

	for (const {name} of model.parameters()) {
		const error = relativeError(await model.parameter(name), tensors.get(`after.${name}`)!.data);
		t.true(error <= 1e-4, `${name}: ${error}`);
	}
});

type Trace = {
	readonly name: string;
	readonly seed: number;
	readonly prompt: readonly number[];
	readonly output: readonly number[];
	readonly forward_passes: number;
	readonly options: {readonly steps: number; readonly gen_length: number; readonly block_length: number};
	/** The tokens given to each pass. */
	readonly canvases: readonly (readonly number[])[];
};

const traces = (
	JSON.parse(readFileSync(fixture('vectors', 'llada-decode', 'traces.json'), 'utf8')) as {traces: Trace[]}
).traces;

for (const {name, seed, prompt, output, options, canvases, forward_passes: passes} of traces) {
	if (!name.startsWith('vanilla')) continue; // the others use a cache, guidance or a threshold
	test(`llada-decode ${name} ${seed}: every canvas and the result, token for token`, async t => {
		const {steps, gen_length: length, block_length: blockLength} = options;
		const sampler = new Sampler(await Model.load(fixture('vectors', 'llada-masked')), {length, steps, blockLength});
		const found: number[][] = [];
		for await (const {canvas} of sampler.stream({prompt})) found.push([...canvas]);
		t.deepEqual(found, [...canvases.slice(1), output]);

		const sample = await sampler.sample({prompt});
		t.deepEqual([...sample.tokens], output.slice(prompt.length));
		t.is(sample.forwardPasses, passes);
		t.is(sample.tokensPerForward, length / passes);
	});
}
