// Test vectors computed in float64 by an independent implementation: inputs, logits, loss and gradients of small checkpoints.
import {readFile} from 'node:fs/promises';
import type {Batch} from '../../lib/batch.js';
import {readSafetensors, type Tensor} from './safetensors.js';

type Case = {
	readonly batch: number;
	readonly length: number;
	readonly objective: 'masked' | 'next-token' | 'shifted-masked' | 'block-diffusion';
	readonly loss: number;
	readonly block_length: number;
	readonly losses: readonly number[];
	readonly gradient_norms: readonly number[];
};

export const modelVectors = [
	'gpt2-masked',
	'gpt2-causal',
	'gpt2-shifted-annealed',
	'gpt2-block-diffusion',
	'llada-masked',
	'dream-shifted',
];

export type Vector = Case & {readonly tensors: Map<string, Tensor>; readonly input: Batch};

export async function readVector(folder: string): Promise<Vector> {
	const data = JSON.parse(await readFile(`${folder}/case.json`, 'utf8')) as Case;
	const tensors = await readSafetensors(`${folder}/tensors.safetensors`);
	return {...data, tensors, input: builders[data.objective](data, tensors)};
}

const builders: Record<Case['objective'], (data: Case, tensors: Map<string, Tensor>) => Batch> = {
	/** Sum of mask * nll / p_mask over all positions, divided by B * T. */
	masked({batch, length}, tensors) {
		const {clean, noisy, mask, times} = inputs(tensors);
		const lossWeights = Float32Array.from(mask, (bit, i) => bit / times[Math.floor(i / length)]! / (batch * length));
		return {batch, length, tokens: noisy, targets: clean, lossWeights};
	},

	/** Position i predicts token i + 1; mean over B * (T - 1) positions. */
	'next-token'({batch, length}, tensors) {
		const {clean} = inputs(tensors);
		const isLast = (i: number) => i % length === length - 1;
		const lossWeights = Float32Array.from(clean, (_, i) => (isLast(i) ? 0 : 1 / (batch * (length - 1))));
		return {batch, length, tokens: clean, targets: shift(clean, length), lossWeights, attention: 'causal'};
	},

	/** Position i predicts token i + 1; sum of mask * nll / t over the targets, divided by the number of masked ones. */
	'shifted-masked'({batch, length}, tensors) {
		const {clean, noisy, mask, times} = inputs(tensors);
		const masked = shift(mask, length);
		const count = masked.reduce((sum, bit) => sum + bit, 0);
		const lossWeights = Float32Array.from(masked, (bit, i) => bit / times[Math.floor(i / length)]! / count);
		const allowed = tensors.get('attention_mask')?.data;
		const attention = allowed ? ({kind: 'explicit', mask: Uint8Array.from(allowed)} as const) : 'full';
		return {batch, length, tokens: noisy, targets: shift(clean, length), lossWeights, attention};
	},

	/** As masked, on the noisy half of noisy ++ clean, with one time per block. */
	'block-diffusion'({batch, length, block_length: blockLength}, tensors) {
		const {clean, noisy, mask} = inputs(tensors);
		const times = tensors.get('t_block')!.data;
		const halves = (make: (b: number, t: number, isClean: boolean) => number) =>
			Array.from({length: batch * 2 * length}, (_, i) => {
				const t = i % (2 * length);
				return make(Math.floor(i / (2 * length)), t % length, t >= length);
			});
		return {
			batch,
			length: 2 * length,
			tokens: Int32Array.from(halves((b, t, isClean) => (isClean ? clean : noisy)[b * length + t]!)),
			targets: Int32Array.from(halves((b, t) => clean[b * length + t]!)),
			lossWeights: Float32Array.from(
				halves((b, t, isClean) => {
					const time = times[(b * length + t - (t % blockLength)) / blockLength]!;
					return isClean ? 0 : mask[b * length + t]! / time / (batch * length);
				}),
			),
			attention: {kind: 'block_diffusion', blockLength},
		};
	},
};

function inputs(tensors: Map<string, Tensor>) {
	const ints = (name: string) => tensors.get(name)!.data as Int32Array;
	return {clean: ints('clean_ids'), noisy: ints('noisy_ids'), mask: ints('mask'), times: tensors.get('p_mask')!.data};
}

/** Row by row one place to the left; 0 at the end of each row. */
function shift(values: Int32Array, length: number): Int32Array {
	return values.map((_, i) => (i % length === length - 1 ? 0 : values[i + 1]!));
}
