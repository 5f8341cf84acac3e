// A short training run whose result is compared bit for bit.
import {createObjects, text} from './lifetime.js';
import {weights} from './training.js';

export type TrainingResult = {readonly losses: number[]; readonly weights: Float32Array[]};

export async function train(seed: number): Promise<TrainingResult> {
	const {model, trainer} = await createObjects(seed);
	const losses: number[] = [];
	for (let step = 0; step < 12; step++) losses.push((await trainer.step(text)).loss);
	losses.push((await trainer.evaluate(text)).nll);
	const result = {losses, weights: await weights(model)};
	await model[Symbol.asyncDispose]();
	return result;
}
