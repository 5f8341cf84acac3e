// How texts are generated: the keys of a sampler, their defaults and their bounds.
import {z} from 'zod';
import type {Agree} from './agree.js';

/** LLaDA's sampling loop (Nie et al., arXiv 2502.09992, algorithms 4 and 5): mask tokens are filled in over several forward passes. */
export type SampleConfig = {
	/** New tokens after the prompt. @default 128, or what the prompt leaves of the context when that is less */
	readonly length?: number;
	/**
	 * Forward passes of a request over all of its blocks: divides evenly into the blocks, at most the number of mask
	 * tokens. @default the number of mask tokens
	 */
	readonly steps?: number;
	/** Tokens per block; blocks are filled in one after the other. Divides the length. @default the length: one block */
	readonly blockLength?: number;
	/** Temperature of the token choice; 0 takes the most probable token. @default 0 */
	readonly temperature?: number;
	/** Draws only from this many of the most probable tokens; of equally probable ones, those with the lowest ids. @default all */
	readonly topK?: number;
	/**
	 * Draws only from the smallest set of most probable tokens whose probabilities, at the temperature, add up to this
	 * (nucleus sampling: Holtzman et al., arXiv 1904.09751). With topK, only from tokens in both. @default 1: all
	 */
	readonly topP?: number;
	/**
	 * Which predictions a step keeps: those of the highest probability (LLaDA), random ones, those where the most probable
	 * token is furthest ahead of the next ('margin') or those of the lowest entropy (both from Dream, arXiv 2508.15487).
	 * All of them look at the model's own probabilities: temperature, topK and topP change the token, not the order.
	 * @default 'low_confidence'
	 */
	readonly remasking?: 'low_confidence' | 'random' | 'margin' | 'entropy';
	/**
	 * Keeps, instead of as many predictions as `steps` gives, all whose probability (or margin) is at least this, and at
	 * least one (Fast-dLLM, arXiv 2505.22618). Compared in steps of 2⁻¹⁶. The number of forward passes follows from it.
	 */
	readonly threshold?: number;
	/**
	 * Keeps instead the largest number n of predictions whose n-th highest probability (or margin) is at least
	 * 1 − factor / (n + 1), and at least one (Fast-dLLM). The larger, the faster and the less careful.
	 */
	readonly factor?: number;
	/** Decides all draws of requests that bring no seed of their own, together with their place in the call. @default 0 */
	readonly seed?: number;
};

type Open = 'length' | 'steps' | 'blockLength' | 'topK' | 'threshold' | 'factor';

/** A SampleConfig with its defaults; what depends on the request is still open, and what is off is absent. */
export type ResolvedSampleConfig = Required<Omit<SampleConfig, Open>> & Pick<SampleConfig, Open>;

const count = z
	.int()
	.min(1)
	.max(2 ** 24);

export const sampleSchema = z.strictObject({
	length: count.optional().describe('new tokens (default: 128, or what the context has left)'),
	steps: count.optional().describe('forward passes (default: one per new token)'),
	blockLength: count.optional().describe('tokens per block (default: one block)'),
	temperature: z.number().min(0).default(0).describe('temperature of the token choice; 0: the most probable token'),
	topK: count.optional().describe('draw from so many of the most probable tokens (default: all)'),
	topP: z.number().gt(0).max(1).default(1).describe('draw from the most probable tokens of this total probability'),
	remasking: z
		.enum(['low_confidence', 'random', 'margin', 'entropy'])
		.default('low_confidence')
		.describe('which predictions a step keeps'),
	threshold: z
		.number()
		.gt(0)
		.max(1)
		.optional()
		.describe('keep all predictions of at least this probability, instead of steps'),
	factor: z
		.number()
		.gt(0)
		.max(2 ** 24)
		.optional()
		.describe('keep n predictions of at least 1 - factor / (n + 1), instead of steps'),
	seed: z.int().min(0).default(0).describe('decides all draws'),
});

export const sampleSchemaAgrees: Agree<z.input<typeof sampleSchema>, SampleConfig> = true;
