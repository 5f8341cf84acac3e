// The models that are compared with PyTorch, the recipe that both sides train them with, and the matrix products of a step.
import {layerProducts} from '../products.mjs';

const characters = 66; // 65 and the mask

/**
 * `context` is the length of a sequence, `batch` the sequences of a step. `slow` sizes are left out of the default.
 * The vocabulary of `gpt2` is padded to a multiple of 64, which both sides' products prefer; its mask is the first id that is not
 * GPT-2's.
 */
export const sizes = {
	small: {layers: 4, heads: 4, width: 128, context: 64, batch: 16, vocabSize: characters},
	nano: {layers: 4, heads: 4, width: 128, context: 64, batch: 32, vocabSize: characters, architecture: 'nano'},
	tiny: {layers: 1, heads: 2, width: 32, context: 16, batch: 2, vocabSize: characters, slow: true},
	baby: {layers: 6, heads: 6, width: 384, context: 256, batch: 12, vocabSize: characters},
	'baby-batch64': {layers: 6, heads: 6, width: 384, context: 256, batch: 64, vocabSize: characters, slow: true},
	gpt2: {
		layers: 12,
		heads: 12,
		width: 768,
		context: 1024,
		batch: 64,
		vocabSize: 50_304,
		maskTokenId: 50_257,
		tokenizer: 'gpt2',
		slow: true,
	},
};

/** GPT-2's: layer norm, learned positions; nano's: RMS norm, rotary positions, normalised queries and keys. */
export const architectures = {gpt2: 'gpt2', nano: 'dllm_native'};

export const recipe = {
	learningRate: 1e-3,
	warmupSteps: 100,
	betas: [0.9, 0.99],
	epsilon: 1e-8,
	weightDecay: 0.1,
	gradientClip: 1,
};

/** A size with what the command line says about it: what both sides are given. */
export function describeWork(name, {architecture, batch}) {
	const size = sizes[name];
	const chosen = architecture ?? size.architecture ?? 'gpt2';
	const {layers, heads, width, context: contextLength, vocabSize, maskTokenId, tokenizer} = size;
	return {
		name,
		architecture: chosen,
		model: {family: architectures[chosen], layers, heads, width, contextLength, vocabSize, maskTokenId},
		recipe,
		context: size.context,
		batch: batch ?? size.batch,
		tokenizer,
	};
}

/** The forward products of a step, as {rows, in, out}; the head's rows are the masked half. */
export function trainingProducts({model: {width, vocabSize}, context, batch}) {
	const rows = batch * context;
	return [...layerProducts({rows, width}), {rows: rows / 2, in: width, out: vocabSize}];
}
