// How a model is trained: the keys of a training run, their defaults and their bounds.
import {z} from 'zod';
import type {Agree} from './agree.js';

/** What is learned: the corruption of a clean sequence and what is predicted from it. */
export type Objective =
	| {
			/** Masked diffusion (Nie et al., "Large Language Diffusion Models", arXiv 2502.09992). */
			readonly kind?: 'masked';
			/** Smallest mask probability: p = (1 - minTime) t + minTime with t in (0, 1). Keeps the weight 1 / p finite. @default 1e-3 */
			readonly minTime?: number;
			/** Share of the steps whose sequences are cut to a random length, so that short texts are learned too. @default 0.01 */
			readonly randomLengthFraction?: number;
	  }
	| {
			/** Autoregressive baseline: causal attention, each position predicts the next token. */
			readonly kind: 'next_token';
	  };

/** A training run. The defaults are those of the `nano` preset. */
export type TrainConfig = {
	/** Optimizer steps of the whole run. @default 1500 */
	readonly steps?: number;
	/** Sequences per optimizer step. @default 32 */
	readonly batchSize?: number;
	/**
	 * Parts that the sequences of a step are computed in, one after the other: the same step in less memory.
	 * @default 1
	 */
	readonly gradientAccumulation?: number;
	/** Tokens per sequence, at most the model's. @default the model's contextLength */
	readonly contextLength?: number;
	/** Peak learning rate of AdamW (Loshchilov and Hutter, arXiv 1711.05101). @default 3e-3 */
	readonly learningRate?: number;
	/** Where the learning rate falls to; at most `learningRate`. @default learningRate / 10 */
	readonly minLearningRate?: number;
	/** Steps of linear warm-up: step s of w trains with learningRate * s / w. @default 5 % of steps, at least 1 */
	readonly warmupSteps?: number;
	/** Last steps of the `wsd` schedule, in which the rate falls linearly to `minLearningRate`. @default 10 % of steps, at least 1 */
	readonly decaySteps?: number;
	/**
	 * After warm-up: stay at the peak, follow a cosine to `minLearningRate`, or stay and then decay (warm-up, stable, decay; Hu et
	 * al., "MiniCPM", arXiv 2404.06395). @default 'cosine'
	 */
	readonly learningRateSchedule?: 'constant' | 'cosine' | 'wsd';
	/** Decay rates of AdamW's two moments. @default [0.9, 0.99] */
	readonly betas?: readonly [number, number];
	/** Added to the root of AdamW's second moment. @default 1e-8 */
	readonly epsilon?: number;
	/** Decoupled weight decay on tensors with at least two dimensions, embeddings included. @default 0.1 */
	readonly weightDecay?: number;
	/** Largest global gradient norm; larger gradients are scaled down to it. 0 switches clipping off. @default 1 */
	readonly gradientClip?: number;
	/**
	 * Decay of an exponential moving average of the weights, with (1 + updates) / (10 + updates) in place of a larger decay while it
	 * is young (as in MDLM, Sahoo et al., arXiv 2406.07524). Evaluation uses the average, and checkpoints hold it beside the
	 * weights. 0: none is kept. @default 0
	 */
	readonly emaDecay?: number;
	/**
	 * Keep only the input of every layer, and compute the rest of its activations again in the backward pass (Chen et al., arXiv
	 * 1604.06174): the same step, to the bit, in less memory and about a third more time. @default false
	 */
	readonly activationRecompute?: boolean;
	/**
	 * What a step does whose loss or gradient is not finite; it never changes the weights. `abort`: it throws NonFiniteError.
	 * `skip`: the run goes on with the next step. `rollback`: the same, from the weights of the last checkpoint. Ten such steps
	 * in a row throw in any case. @default 'abort'
	 */
	readonly onNonFinite?: 'abort' | 'skip' | 'rollback';
	/** Decides windows, mask times, masks and dropout. @default 0 */
	readonly seed?: number;
	/** `fit` evaluates every this many steps and after the last one, when it has validation data; 0: only after the last. @default 250 */
	readonly evalEvery?: number;
	/** Batches of 64 sequences that one evaluation averages. @default 40 */
	readonly evalBatches?: number;
	/** `fit` ends after this many evaluations in a row without a new lowest bound; 0: never. @default 0 */
	readonly earlyStoppingPatience?: number;
	/** `fit` saves every this many steps and after the last one, when it has a run folder; 0: only after the last. @default 500 */
	readonly saveEvery?: number;
	/** Checkpoints that stay in a run folder, beside the best one. @default 3 */
	readonly saveKeep?: number;
	/** @default {kind: 'masked'} */
	readonly objective?: Objective;
};

/** A TrainConfig with every key filled in. */
export type ResolvedTrainConfig = Required<Omit<TrainConfig, 'objective'>> & {
	readonly objective:
		| {readonly kind: 'masked'; readonly minTime: number; readonly randomLengthFraction: number}
		| {readonly kind: 'next_token'};
};

const count = z
	.int()
	.min(1)
	.max(2 ** 31 - 1);
const countOrZero = z
	.int()
	.min(0)
	.max(2 ** 31 - 1);
// What float32 can hold with room to compute: a decay rate of 1 or an epsilon of 0 would give NaN.
const largest = 1e30;
const decayRate = z.number().min(0).max(0.999_999_9);

const objectiveSchema = z.discriminatedUnion('kind', [
	z.strictObject({
		kind: z.literal('masked').default('masked'),
		minTime: z.number().gt(0).lt(1).default(1e-3).describe('smallest mask probability'),
		randomLengthFraction: z.number().min(0).max(1).default(0.01).describe('share of steps cut to a random length'),
	}),
	z.strictObject({kind: z.literal('next_token')}),
]);

export const trainSchema = z.strictObject({
	steps: count.default(1500).describe('optimizer steps of the whole run'),
	batchSize: z
		.int()
		.min(1)
		.max(2 ** 20)
		.default(32)
		.describe('sequences per optimizer step'),
	gradientAccumulation: count.default(1).describe('parts that a step is computed in, to save memory'),
	contextLength: z
		.int()
		.min(1)
		.max(2 ** 20)
		.optional()
		.describe("tokens per sequence (default: the model's)"),
	learningRate: z.number().gt(0).max(largest).default(3e-3).describe('peak learning rate'),
	minLearningRate: z
		.number()
		.min(0)
		.max(largest)
		.optional()
		.describe('where the rate falls to (default: a tenth of the peak)'),
	warmupSteps: countOrZero.optional().describe('steps of linear warm-up (default: 5 % of steps)'),
	decaySteps: countOrZero.optional().describe('last steps of wsd, in which the rate falls (default: 10 % of steps)'),
	learningRateSchedule: z.enum(['constant', 'cosine', 'wsd']).default('cosine').describe('learning rate after warm-up'),
	betas: z.tuple([decayRate, decayRate]).readonly().default([0.9, 0.99]).describe("decay rates of AdamW's two moments"),
	epsilon: z.number().min(1e-30).max(largest).default(1e-8).describe("added to the root of AdamW's second moment"),
	weightDecay: z.number().min(0).max(largest).default(0.1).describe('decoupled weight decay on matrices'),
	gradientClip: z.number().min(0).max(largest).default(1).describe('largest global gradient norm; 0: no clipping'),
	emaDecay: decayRate.default(0).describe('decay of a moving average of the weights; 0: no average'),
	activationRecompute: z.boolean().default(false).describe('less memory for more time, the same bits'),
	onNonFinite: z
		.enum(['abort', 'skip', 'rollback'])
		.default('abort')
		.describe('after a loss or gradient that is not finite'),
	seed: z.int().min(0).default(0).describe('decides windows, mask times, masks and dropout'),
	evalEvery: countOrZero.default(250).describe('steps between evaluations; 0: only after the last step'),
	evalBatches: count.default(40).describe('batches of 64 sequences per evaluation'),
	earlyStoppingPatience: countOrZero.default(0).describe('evaluations without a new best before the end; 0: off'),
	saveEvery: countOrZero.default(500).describe('steps between checkpoints; 0: only after the last step'),
	saveKeep: count.default(3).describe('checkpoints that stay, beside the best one'),
	objective: objectiveSchema.prefault({kind: 'masked'}).describe('what is learned'),
});

export const trainSchemaAgrees: Agree<z.input<typeof trainSchema>, TrainConfig> = true;
