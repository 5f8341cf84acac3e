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
	/** Which predictions a step keeps: those of the highest probability, or random ones. @default 'low_confidence' */
	readonly remasking?: 'low_confidence' | 'random';
	/** Decides all draws of requests that bring no seed of their own, together with their place in the call. @default 0 */
	readonly seed?: number;
};

/** A SampleConfig with its defaults; what depends on the request is still open. */
export type ResolvedSampleConfig = Required<Omit<SampleConfig, 'length' | 'steps' | 'blockLength'>> &
	Pick<SampleConfig, 'length' | 'steps' | 'blockLength'>;

const count = z
	.int()
	.min(1)
	.max(2 ** 24);

export const sampleSchema = z.strictObject({
	length: count.optional().describe('new tokens (default: 128, or what the context has left)'),
	steps: count.optional().describe('forward passes (default: one per new token)'),
	blockLength: count.optional().describe('tokens per block (default: one block)'),
	temperature: z.number().min(0).default(0).describe('temperature of the token choice; 0: the most probable token'),
	remasking: z.enum(['low_confidence', 'random']).default('low_confidence').describe('which predictions a step keeps'),
	seed: z.int().min(0).default(0).describe('decides all draws'),
});

export const sampleSchemaAgrees: Agree<z.input<typeof sampleSchema>, SampleConfig> = true;
