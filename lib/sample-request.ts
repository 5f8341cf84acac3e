// One sampling request: what a caller may give, checked against the model and made into tokens.
import {checkInstance, checkKeys} from './config/arguments.js';
import {show} from './config/check.js';
import {planSampling, type ResolvedModelConfig, type ResolvedSampleConfig, type SamplePlan} from './config.js';
import {ConfigError, TokenizerError} from './errors.js';
import type {Model} from './model.js';
import type {NativeSampleRequest} from './native-types.js';

export type SampleRequest = {
	/** What the new tokens follow: text, for a model with a tokenizer, or token ids without mask tokens. @default none */
	readonly prompt?: string | Int32Array | readonly number[];
	/** Tokens to fill in instead of `length` new ones: mask tokens are free, all others stay. */
	readonly canvas?: Int32Array | readonly number[];
	/** A seed of the request's own: its result then does not depend on its place in the call. @default the config's, with the place */
	readonly seed?: number;
	/** Ends the call with ERR_ABORTED, at the latest after the running forward pass; on a GPU, after those already given to it. */
	readonly signal?: AbortSignal;
};

const keys = ['prompt', 'canvas', 'seed', 'signal'] as const satisfies readonly (keyof SampleRequest)[];

/** New tokens when neither the config nor a canvas says how many. */
const DEFAULT_LENGTH = 128;

/**
 * The native form of a request.
 * @param index Its place in the call.
 */
export function prepareRequest(
	request: SampleRequest,
	index: number,
	model: Model,
	config: ResolvedSampleConfig,
): {native: NativeSampleRequest; plan: SamplePlan; masks: number} {
	checkRequest(request);
	const prompt = promptTokens(request.prompt, model);
	const canvas = canvasTokens(request.canvas, prompt.length, model.config, config);
	const masks = canvas.filter(id => id === model.config.maskTokenId).length;
	if (masks === 0) throw new ConfigError('the canvas has no mask tokens; accepted: at least one position to fill in');
	const plan = planSampling(config, {length: canvas.length, masks});
	const tokens = new Int32Array(prompt.length + canvas.length);
	tokens.set(prompt);
	tokens.set(canvas, prompt.length);
	const seed = request.seed === undefined ? {seed: config.seed, index} : {seed: request.seed, index: 0};
	return {native: {tokens, promptLength: prompt.length, ...seed}, plan, masks};
}

function checkRequest(request: SampleRequest): void {
	checkKeys('the request', request, keys);
	const {seed, signal} = request;
	if (seed !== undefined && (!Number.isSafeInteger(seed) || seed < 0)) {
		throw new ConfigError(`request.seed is ${show(seed)}; accepted: an integer of at least 0`);
	}

	if (signal !== undefined) checkInstance('request.signal', signal, AbortSignal);
}

function promptTokens(prompt: SampleRequest['prompt'] = [], model: Model): Int32Array {
	const {tokenizer, config} = model;
	if (typeof prompt === 'string') {
		if (tokenizer === undefined)
			throw new TokenizerError('the prompt is text, but the model has no tokenizer; give token ids');
		return tokenizer.encode(prompt);
	}

	const tokens = toTokens('prompt', prompt, config);
	const mask = tokens.indexOf(config.maskTokenId);
	if (mask === -1) return tokens;
	throw new ConfigError(
		`prompt[${mask}] is the mask token ${config.maskTokenId}; give tokens to be filled in as a canvas`,
	);
}

function canvasTokens(
	canvas: SampleRequest['canvas'],
	promptLength: number,
	model: ResolvedModelConfig,
	config: ResolvedSampleConfig,
): Int32Array {
	const room = model.contextLength - promptLength;
	if (room < 1)
		throw new ConfigError(
			`the prompt has ${promptLength} tokens; accepted: less than the model's context of ${model.contextLength}`,
		);
	const tokens =
		canvas === undefined
			? new Int32Array(config.length ?? Math.min(DEFAULT_LENGTH, room)).fill(model.maskTokenId)
			: toTokens('canvas', canvas, model);
	if (tokens.length <= room) return tokens;
	const what = canvas === undefined ? 'length' : 'the length of the canvas';
	throw new ConfigError(
		`${what} is ${tokens.length}; accepted: at most ${room}, the context of ${model.contextLength} less ${promptLength} of the prompt`,
	);
}

function toTokens(name: string, value: Int32Array | readonly number[], {vocabSize}: ResolvedModelConfig): Int32Array {
	if (!Array.isArray(value) && !(value instanceof Int32Array)) {
		throw new ConfigError(
			`${name} is ${show(value)}; accepted: an array of token ids${name === 'prompt' ? ' or text' : ''}`,
		);
	}

	const wrong = value.findIndex(id => !Number.isInteger(id) || id < 0 || id >= vocabSize);
	if (wrong !== -1)
		throw new ConfigError(
			`${name}[${wrong}] is ${show(value[wrong])}; accepted: an integer from 0 to ${vocabSize - 1}`,
		);
	return Int32Array.from(value);
}
