// Three texts by the model that was just trained.
import type {DeviceName} from '../devices.js';
import {Model} from '../model.js';
import {Sampler} from '../sampler.js';
import {note} from './output.js';
import type {Run} from './train-start.js';

const SAMPLES = 3;

/**
 * Every token is drawn from what the model believes, in random order: the model's own distribution, not its favourites.
 * @throws AbortError after the signal.
 */
export async function drawSamples({trainer, folder}: Run, signal: AbortSignal): Promise<string[]> {
	const {config} = trainer;
	if (config.objective.kind !== 'masked') {
		note(`no samples: a model trained with the objective ${config.objective.kind} does not fill in masks`);
		return [];
	}

	if (config.emaDecay > 0) {
		const {device, dtype} = trainer.model;
		await using averaged = await Model.load(folder, {device: device as DeviceName, dtype});
		return sample(averaged, config.seed, signal);
	}

	return sample(trainer.model, config.seed, signal);
}

async function sample(model: Model, seed: number, signal: AbortSignal): Promise<string[]> {
	const length = Math.min(128, model.config.contextLength);
	using sampler = new Sampler(model, {length, temperature: 1, remasking: 'random', seed});
	const samples = await sampler.sampleBatch(Array.from({length: SAMPLES}, () => ({signal})));
	return samples.map(({text = ''}) => text);
}
