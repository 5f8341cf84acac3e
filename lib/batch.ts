// What `forward`, `lossAndGradients` and `step` are given: token ids with their targets, weights and attention.
import {checkKeys} from './config/arguments.js';
import {show} from './config/check.js';
import {ConfigError} from './errors.js';
import type {NativeAttention, NativeBatch} from './native-types.js';

/** Which position may attend to which. */
export type Attention =
	| 'full'
	| 'causal'
	/** Causal, and each future entry opened with a probability; one draw per (seed, step) shared by the batch and all heads. */
	| {readonly kind: 'annealed'; readonly openProbability: number; readonly seed: number; readonly step: number}
	/** Own and earlier blocks. */
	| {readonly kind: 'block_causal'; readonly blockLength: number}
	/** Over noisy ++ clean tokens (Arriola et al., "Block Diffusion", arXiv 2503.09573). */
	| {readonly kind: 'block_diffusion'; readonly blockLength: number}
	/** `mask` [T, T] or [B, T, T]: 1 = the row's position may attend to the column's. */
	| {readonly kind: 'explicit'; readonly mask: Uint8Array};

/** B sequences of T tokens, row after row. */
export type Batch = {
	/** Token ids, [B, T]. */
	readonly tokens: Int32Array;
	/** The id that each row predicts, [B, T]; not read where the weight is 0. */
	readonly targets?: Int32Array;
	/** The loss is the sum over rows of lossWeight * -log p(target), [B, T]. */
	readonly lossWeights?: Float32Array;
	/** B. */
	readonly batch: number;
	/** T. With `block_diffusion` attention twice the length of a text: its noisy tokens, then its clean ones. */
	readonly length: number;
	/** @default 'full' */
	readonly attention?: Attention;
	/** Positions, [T] or [B, T]. @default 0 … T - 1; with `block_diffusion` 0 … T/2 - 1 twice */
	readonly positions?: Int32Array;
	/** Tokens of each sequence, [B]; what lies behind them is not read. @default T for all */
	readonly lengths?: Int32Array;
};

const batchKeys = [
	'tokens',
	'targets',
	'lossWeights',
	'batch',
	'length',
	'attention',
	'positions',
	'lengths',
] as const satisfies readonly (keyof Batch)[];

/** The keys of each kind of attention that is an object. */
const attentionKeys = {
	annealed: ['kind', 'openProbability', 'seed', 'step'],
	block_causal: ['kind', 'blockLength'],
	block_diffusion: ['kind', 'blockLength'],
	explicit: ['kind', 'mask'],
} as const;

/**
 * Checks a batch's types and sizes; the values are checked natively.
 *
 * @param needsTargets Whether targets and weights are needed; otherwise they are left out.
 * @throws ConfigError naming the field, what was found and what is accepted.
 */
export function toNativeBatch(value: Batch, needsTargets: boolean): NativeBatch {
	checkKeys('batch', value, batchKeys);
	const {tokens, targets, lossWeights, batch, length, attention, positions, lengths} = value;
	checkInteger('batch.batch', batch, 1);
	checkInteger('batch.length', length, 1);
	const count = batch * length;
	const layout = `batch * length = ${batch} * ${length}`;
	checkArray('batch.tokens', tokens, Int32Array, [count], layout);
	if (needsTargets) {
		checkArray('batch.targets', targets, Int32Array, [count], layout);
		checkArray('batch.lossWeights', lossWeights, Float32Array, [count], layout);
	}

	if (positions !== undefined)
		checkArray('batch.positions', positions, Int32Array, [length, count], `length or ${layout}`);
	if (lengths !== undefined) checkArray('batch.lengths', lengths, Int32Array, [batch], `batch = ${batch}`);
	return {
		batch,
		length,
		tokens,
		targets: (needsTargets && targets) || null,
		lossWeights: (needsTargets && lossWeights) || null,
		attention: toNativeAttention(attention, batch, length),
		positions: positions ?? null,
		lengths: lengths ?? null,
	};
}

function toNativeAttention(attention: Attention = 'full', batch: number, length: number): NativeAttention {
	if (attention === 'full' || attention === 'causal') return {kind: attention};
	const kind = typeof attention === 'object' && attention !== null ? attention.kind : attention;
	if (typeof kind === 'string' && Object.hasOwn(attentionKeys, kind))
		checkKeys('batch.attention', attention, attentionKeys[kind as keyof typeof attentionKeys]);
	switch (attention?.kind) {
		case 'annealed': {
			const {openProbability, seed, step} = attention;
			if (!(openProbability >= 0 && openProbability <= 1))
				reject('attention.openProbability', openProbability, 'a number from 0 to 1');
			checkInteger('attention.seed', seed, 0);
			checkInteger('attention.step', step, 0);
			return {kind: 'annealed', openProbability, seed, step};
		}

		case 'block_causal':
		case 'block_diffusion': {
			checkInteger('attention.blockLength', attention.blockLength, 1);
			return {kind: attention.kind, blockLength: attention.blockLength};
		}

		case 'explicit': {
			const sizes = [length * length, batch * length * length];
			checkArray('attention.mask', attention.mask, Uint8Array, sizes, 'length * length or batch * length * length');
			return {kind: 'explicit', mask: attention.mask};
		}

		default: {
			const accepted = 'full, causal, annealed, block_causal, block_diffusion or explicit';
			return reject('batch.attention', kind, accepted);
		}
	}
}

type TypedArray = Int32Array | Float32Array | Uint8Array;

function checkArray<T extends TypedArray>(
	field: string,
	value: T | undefined,
	type: new (length: number) => T,
	sizes: readonly number[],
	layout: string,
): asserts value is T {
	if (!(value instanceof type)) reject(field, value, `${/^[AEIOU]/.test(type.name) ? 'an' : 'a'} ${type.name}`);
	if (!sizes.includes(value.length))
		reject(field, `${type.name} of ${value.length} elements`, `${sizes.join(' or ')} elements (${layout})`);
}

function checkInteger(field: string, value: number, minimum: number): void {
	if (!Number.isSafeInteger(value) || value < minimum) reject(field, value, `an integer of at least ${minimum}`);
}

function reject(field: string, found: unknown, accepted: string): never {
	const text = found === undefined ? 'missing' : typeof found === 'string' ? found : show(found);
	throw new ConfigError(`${field} is ${text}; accepted: ${accepted}`);
}
