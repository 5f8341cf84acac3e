// What every family's config.json format consists of, and the schema pieces that they share.
//
// Dropout rates are not among the keys that are read: they act in training alone, and ours is kept in `dllm_native`.
import {z} from 'zod';
import type {ModelConfig, ResolvedModelConfig} from '../config/model.js';

/** A family's own config.json keys. What they cannot say goes into its `dllm_native` object. */
export type FamilyFormat<S extends z.ZodType = z.ZodType> = {
	/** The keys that are read; any others are ignored. A value that would change the answers and is not supported fails. */
	readonly schema: S;
	read(json: z.output<S>): ModelConfig;
	write(config: ResolvedModelConfig): Readonly<Record<string, unknown>>;
};

export const size = z
	.int()
	.min(1)
	.max(2 ** 24);
export const layerCount = z.int().min(1).max(1024);
export const headCount = z.int().min(1).max(4096);
export const tokenId = z
	.int()
	.min(0)
	.max(2 ** 24 - 1);
export const epsilon = z.number().gt(0).max(1);
export const theta = z.number().gt(0);
export const flag = z.boolean();

/** A key that we know only with this value; published files leave it out or set it to null just as often. */
export function only<const T extends string | boolean>(value: T) {
	return z.literal(value).nullish();
}
