// Helpers of the tests that train.
import {Dataset} from '../../lib/dataset.js';
import {Model} from '../../lib/model.js';
import {Trainer} from '../../lib/trainer.js';
import {tinyModel, tinyText, tinyTokenizer, tinyTraining} from './tiny.js';

export const tinyDataset = Dataset.fromText(tinyText, tinyTokenizer);

export async function tinyTrainer(config: object = {}): Promise<Trainer> {
	return new Trainer(await Model.create(tinyModel, {tokenizer: tinyTokenizer}), {...tinyTraining, ...config});
}

export async function weights(model: Model): Promise<Float32Array[]> {
	return Promise.all(model.parameters().map(({name}) => model.parameter(name)));
}

export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
	const items: T[] = [];
	for await (const item of iterable) items.push(item);
	return items;
}
