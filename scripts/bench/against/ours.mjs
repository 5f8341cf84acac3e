// Our side of a comparison: one model, trained and sampled through the public API.
import path from 'node:path';
import {writeBatches} from './batch-file.mjs';
import {drawBatches} from './batches.mjs';
import {takeTurn} from './turn.mjs';

/**
 * @param work {model: a ModelConfig, recipe: keys of a TrainConfig, batch, context, tokenizer: 'char' (when absent) or 'gpt2'}
 * @param options {device, dtype} as `Model.create` takes them
 */
export async function createOurs({model: config, recipe, batch, context, tokenizer}, options = {device: 'cpu'}) {
	const {Model, Sampler, Tokenizer, Trainer, generateStories} = await import('../../../dist/lib/index.js');
	const text = generateStories({seed: 0, characters: 100_000});
	const ids = (tokenizer === 'gpt2' ? await Tokenizer.gpt2() : Tokenizer.char(text)).encode(text);
	const model = await Model.create(config, {...options, seed: 1});
	const batches = drawBatches(ids, {batch, context, maskTokenId: model.config.maskTokenId});
	const trainer = new Trainer(model, trainConfig(recipe, batch));

	return {
		parameterCount: model.parameterCount,
		/** Fills `folder` with the checkpoint and the batches that the other side starts from. */
		async writeStart(folder) {
			await model.save(folder, {overwrite: true});
			writeBatches(path.join(folder, 'batches.safetensors'), batches);
		},
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

/** A recipe as a TrainConfig: the learning rate stays after its warm-up, however many steps are taken. */
export function trainConfig(recipe, batchSize) {
	return {...recipe, batchSize, steps: 1_000_000, learningRateSchedule: 'constant'};
}
