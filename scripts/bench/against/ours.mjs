// Our side of a comparison: one model, trained and sampled through the public API.
import path from 'node:path';
import {writeTensors} from '../tensors.mjs';
import {drawBatches} from './batches.mjs';
import {modelConfig, recipe} from './sizes.mjs';
import {takeTurn} from './turn.mjs';

/** Fills `folder` with the checkpoint and the batches that the other side starts from. */
export async function createOurs(size, folder) {
	const {Model, Sampler, Tokenizer, Trainer, generateStories} = await import('../../../dist/lib/index.js');
	const text = generateStories({seed: 0, characters: 100_000});
	const batches = drawBatches(Tokenizer.char(text).encode(text), size);
	const model = await Model.create(modelConfig(size), {device: 'cpu', seed: 1});
	const trainer = new Trainer(model, {
		...recipe,
		batchSize: size.batch,
		steps: 1_000_000,
		warmupSteps: 0,
		learningRateSchedule: 'constant',
	});
	await model.save(folder, {overwrite: true});
	const shape = [batches.length, size.batch, size.context];
	const join = (key, type) => type.from(batches.flatMap(batch => [...batch[key]]));
	writeTensors(path.join(folder, 'batches.safetensors'), [
		['tokens', {shape, data: join('tokens', Int32Array)}],
		['targets', {shape, data: join('targets', Int32Array)}],
		['lossWeights', {shape, data: join('lossWeights', Float32Array)}],
	]);

	return {
		parameterCount: model.parameterCount,
		gradients: index => model.lossAndGradients(batches[index]),
		save: target => model.save(target, {overwrite: true}),
		/** Trains `steps` steps, or at least `least` until the seconds are over. */
		async train({steps, least = 1, seconds}) {
			const step = () => trainer.step(batches[trainer.completedSteps % batches.length]);
			const {results, milliseconds} = await takeTurn({most: steps, least, seconds}, step);
			return {losses: results.map(({loss}) => loss), milliseconds};
		},
		/** Fills in canvases of `length` mask tokens with `passes` forward passes each: up to `count`, or until the seconds are over. */
		async sample({length, passes, count, seconds}) {
			const sampler = new Sampler(model, {length, steps: passes, temperature: 0});
			const {results, milliseconds} = await takeTurn({most: count, seconds}, () => sampler.sample());
			sampler.dispose();
			return {tokens: results.at(-1).tokens, milliseconds};
		},
		async dispose() {
			await trainer[Symbol.asyncDispose]();
			await model[Symbol.asyncDispose]();
		},
	};
}
