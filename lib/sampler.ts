// Generates texts: prompts and canvases to tokens, all at once or step by step.
import {checkArgument, checkInstance} from './config/arguments.js';
import {
	type ResolvedSampleConfig,
	resolveSampleConfig,
	type SampleConfig,
	type SamplePlan,
	toNativeSampleConfig,
} from './config.js';
import {AbortError, DisposedError} from './errors.js';
import {Model, nativeModelOf} from './model.js';
import {loadNative} from './native.js';
import {nativeCall} from './native-call.js';
import type {NativeSampleRequest, NativeSampler} from './native-types.js';
import {prepareRequest, type SampleRequest} from './sample-request.js';
import type {Tokenizer} from './tokenizer.js';

export type {SampleRequest} from './sample-request.js';

export type Sample = {
	/** The new tokens; of a canvas, all of its tokens. */
	readonly tokens: Int32Array;
	/** The same as text, when the model has a tokenizer. */
	readonly text?: string;
	/** Forward passes that this request took part in. */
	readonly forwardPasses: number;
	/** Tokens filled in per forward pass. */
	readonly tokensPerForward: number;
	/** Seconds the call took, for all of its requests together. */
	readonly seconds: number;
};

/** The state after one step. */
export type Frame = {
	/** Forward passes so far. */
	readonly step: number;
	/** All tokens, the prompt first; mask tokens where nothing is committed yet. */
	readonly canvas: Int32Array;
	/** Positions in `canvas` that this step committed, ascending. */
	readonly positions: Int32Array;
	/** The model's probability of each of them, before temperature, topK and topP. */
	readonly confidences: Float32Array;
	/** The canvas without the prompt. */
	readonly tokens: Int32Array;
	/** `tokens` as text, when the model has a tokenizer; a mask token is shown as █, an id that the tokenizer lacks as U+FFFD. */
	readonly text?: string;
};

/** One request in its native form, with what is needed to describe its result. */
type Prepared = {readonly native: NativeSampleRequest; readonly plan: SamplePlan; readonly masks: number};

/**
 * LLaDA's sampler (Nie et al., "Large Language Diffusion Models", arXiv 2502.09992, algorithms 4 and 5): every step predicts
 * all masked tokens of the current block and keeps the surest: as many as `steps` gives, or as many as a threshold or a
 * factor allows (Fast-dLLM, arXiv 2505.22618). The same model, config, request and seed give the same tokens, alone or in
 * a batch.
 */
export class Sampler {
	readonly model: Model;
	readonly config: ResolvedSampleConfig;
	readonly #running = new Set<NativeSampler>();
	#disposed = false;

	/** @throws ConfigError naming the key, what it got and what it takes. */
	constructor(model: Model, config: SampleConfig = {}) {
		checkInstance('the model of a Sampler', model, Model);
		this.model = model;
		this.config = resolveSampleConfig(config);
	}

	/**
	 * Generates one text.
	 * @throws ConfigError for a request that does not fit the model or the config; TokenizerError for text that cannot be
	 * encoded; AbortError after `signal`.
	 */
	async sample(request: SampleRequest = {}): Promise<Sample> {
		const [sample] = await this.sampleBatch([request]);
		return sample!;
	}

	/**
	 * Generates several texts side by side; prompts may have different lengths. The signal of any of them ends the call.
	 * @throws as `sample` does.
	 */
	async sampleBatch(requests: readonly SampleRequest[]): Promise<Sample[]> {
		const begin = performance.now();
		checkArgument('the list of requests', requests, Array.isArray(requests), 'an array');
		const prepared = requests.map((request, index) => this.#prepare(request, index));
		const signals = requests.flatMap(({signal}) => signal ?? []);
		const results = new Map<Prepared, {tokens: Int32Array; forwardPasses: number}>();
		for (const group of groupByPlan(prepared)) {
			const outputs = await this.#run(group, signals);
			for (const [index, request] of group.entries()) results.set(request, outputs[index]!);
		}

		const seconds = (performance.now() - begin) / 1000;
		return prepared.map(request => {
			const {tokens: all, forwardPasses} = results.get(request)!;
			const tokens = all.slice(request.native.promptLength);
			return {tokens, ...this.#text(tokens), forwardPasses, tokensPerForward: request.masks / forwardPasses, seconds};
		});
	}

	/**
	 * Generates one text and yields after every step. Leaving the loop early ends the work.
	 * @throws as `sample` does.
	 */
	async *stream(request: SampleRequest = {}): AsyncGenerator<Frame, void, void> {
		const prepared = this.#prepare(request, 0);
		const native = await this.#create([prepared]);
		try {
			while (!native.done) {
				throwIfAborted(request.signal);
				this.#checkLive();
				const [frame] = await nativeCall(() => native.step());
				const tokens = frame!.canvas.slice(prepared.native.promptLength);
				yield {...frame!, tokens, ...this.#text(tokens)};
			}
		} finally {
			this.#release(native);
		}
	}

	/** Ends running calls with ERR_ABORTED; later ones fail with ERR_DISPOSED. The model stays usable. */
	dispose(): void {
		this.#disposed = true;
		for (const native of this.#running) native.abort();
	}

	[Symbol.dispose](): void {
		this.dispose();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.dispose();
	}

	#prepare(request: SampleRequest, index: number): Prepared {
		throwIfAborted(request?.signal);
		return prepareRequest(request, index, this.model, this.config);
	}

	async #create(requests: readonly Prepared[]): Promise<NativeSampler> {
		this.#checkLive();
		const config = toNativeSampleConfig(this.config, requests[0]!.plan);
		const natives = requests.map(({native}) => native);
		const sampler = await nativeCall(() => loadNative().createSampler(nativeModelOf(this.model), config, natives));
		this.#running.add(sampler);
		return sampler;
	}

	async #run(
		requests: readonly Prepared[],
		signals: readonly AbortSignal[],
	): Promise<{tokens: Int32Array; forwardPasses: number}[]> {
		const native = await this.#create(requests);
		const abort = () => native.abort();
		for (const signal of signals) signal.addEventListener('abort', abort, {once: true});
		try {
			for (const signal of signals) throwIfAborted(signal);
			return await nativeCall(() => native.run());
		} catch (error) {
			if (error instanceof AbortError) for (const signal of signals) throwIfAborted(signal); // with its reason
			throw error;
		} finally {
			for (const signal of signals) signal.removeEventListener('abort', abort);
			this.#release(native);
		}
	}

	#release(native: NativeSampler): void {
		this.#running.delete(native);
		native.dispose();
	}

	#checkLive(): void {
		if (this.#disposed) throw new DisposedError('the sampler has been disposed');
	}

	#text(tokens: Int32Array): {text?: string} {
		const {tokenizer, config} = this.model;
		if (tokenizer === undefined) return {};
		return {text: toText(tokens, tokenizer, config.maskTokenId)};
	}
}

/** Requests that take the same number of steps in blocks of the same length run together. */
function groupByPlan(requests: readonly Prepared[]): readonly Prepared[][] {
	const groups = new Map<string, Prepared[]>();
	for (const request of requests) {
		const key = `${request.plan.steps} ${request.plan.blockLength}`;
		const group = groups.get(key);
		if (group) group.push(request);
		else groups.set(key, [request]);
	}

	return [...groups.values()];
}

/**
 * Tokens as text: █ for the model's mask token, which may be another id than the tokenizer's, and U+FFFD for ids that the
 * tokenizer lacks, as models with a padded vocabulary have them.
 */
function toText(tokens: Int32Array, tokenizer: Tokenizer, maskTokenId: number): string {
	let text = '';
	let begin = 0;
	for (const [index, id] of tokens.entries()) {
		if (id !== maskTokenId && id < tokenizer.maskTokenId) continue;
		text += `${tokenizer.decode(tokens.subarray(begin, index))}${id === maskTokenId ? '█' : '\uFFFD'}`;
		begin = index + 1;
	}

	return text + tokenizer.decode(tokens.subarray(begin));
}

function throwIfAborted(signal: AbortSignal | undefined): void {
	if (signal?.aborted) throw new AbortError('sampling was aborted', {cause: signal.reason});
}
