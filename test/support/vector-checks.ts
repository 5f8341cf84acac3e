// What a test vector must show: our model on its checkpoint and input gives its outputs.
import type {ExecutionContext} from 'ava';
import {Model} from '../../lib/model.js';
import {Trainer} from '../../lib/trainer.js';
import {relativeError} from './expect.js';
import {readVector} from './vectors.js';

/** Logits and loss within 1e-5, every gradient within 1e-4 (relative Frobenius error). */
export async function checkModelVector(t: ExecutionContext, folder: string): Promise<void> {
	const {tensors, input, loss: expectedLoss} = await readVector(folder);
	using model = await Model.load(folder);
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
}

/** Losses, gradient norms and weights of three AdamW steps, within 1e-4. */
export async function checkOptimizerVector(t: ExecutionContext, folder: string): Promise<void> {
	const {tensors, input, losses, gradient_norms: norms} = await readVector(folder);
	using model = await Model.load(folder);
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
}
