// The models that are compared, the recipe they are trained with, and what is sampled from them.

/** Token ids: 65 characters and the mask. */
export const vocabSize = 66;

/** Batches that the steps go through in turn. */
export const batchCount = 4;

/**
 * `context` is the length of a sequence, `batch` the sequences of a step, `samplePasses` the forward passes that fill in a canvas
 * of `context` mask tokens (0: no sampling). `slow`: plain JavaScript takes minutes and is left out unless asked for.
 */
export const sizes = {
	tiny: {layers: 2, heads: 2, width: 64, context: 64, batch: 16, samplePasses: 64, slow: false},
	small: {layers: 4, heads: 4, width: 128, context: 64, batch: 16, samplePasses: 64, slow: false},
	context128: {layers: 4, heads: 4, width: 128, context: 128, batch: 8, samplePasses: 128, slow: true},
	baby: {layers: 6, heads: 6, width: 384, context: 256, batch: 4, samplePasses: 32, slow: true},
	'baby-batch12': {layers: 6, heads: 6, width: 384, context: 256, batch: 12, samplePasses: 0, slow: true},
};

/** A size as a ModelConfig. */
export function modelConfig({layers, heads, width, context}) {
	return {family: 'gpt2', layers, heads, width, contextLength: context, vocabSize};
}

export const recipe = {
	learningRate: 1e-3,
	warmupSteps: 0,
	betas: [0.9, 0.99],
	epsilon: 1e-8,
	weightDecay: 0.1,
	gradientClip: 1,
};
