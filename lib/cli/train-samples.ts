// Three texts by the model that was just trained.
import {Sampler} from '../sampler.js';
import {note} from './output.js';
import type {Run} from './train-start.js';

const SAMPLES = 3;

/**
 * Every token is drawn from what the model believes, in random order: the model's own distribution, not its favourites.
 * @throws AbortError after the signal.
 */
export async function drawSamples({trainer}: Run, signal: AbortSignal): Promise<string[]> {
	const {model, config} = trainer;
	if (config.objective.kind !== 'masked') {
		note(`no samples: a model trained with the objective ${config.objective.kind} does not fill in masks`);
		return [];
	}

	const length = Math.min(128, model.config.contextLength);
	using sampler = new Sampler(model, {length, temperature: 1, remasking: 'random', seed: config.seed});
	const samples = await sampler.sampleBatch(Array.from({length: SAMPLES}, () => ({signal})));
	return samples.map(({text = ''}) => text);
}
