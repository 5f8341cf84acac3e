// What the native addon exports. Every field of every struct is given by the caller: native code has no defaults.

export type NativeNorm = {readonly kind: 'layer' | 'rms'; readonly eps: number; readonly bias: boolean};

/** Mirrors `struct ModelConfig` of native/config.h. */
export type NativeModelConfig = {
	readonly naming: 'gpt2' | 'llama' | 'llada' | 'nanollada';
	readonly layers: number;
	readonly heads: number;
	readonly kvHeads: number;
	readonly width: number;
	readonly mlpWidth: number;
	readonly vocabSize: number;
	readonly contextLength: number;
	readonly maskTokenId: number;
	readonly norm: NativeNorm;
	readonly finalNorm: NativeNorm | null;
	readonly positions: 'learned' | 'rotary';
	readonly rotaryTheta: number;
	readonly qkvBias: boolean;
	readonly attentionOutputBias: boolean;
	readonly mlpBias: boolean;
	readonly headBias: boolean;
	readonly mlp: 'gelu' | 'silu' | 'swiglu';
	readonly tiedHead: boolean;
	readonly queryKeyNorm: boolean;
	readonly queryKeyNormEps: number;
	readonly dropout: number;
	readonly init: 'normal' | 'pytorch';
	readonly initStd: number;
};

/** Mirrors `struct TrainConfig`. `seed` is an unsigned 53-bit integer. */
export type NativeTrainConfig = {
	readonly batchSize: number;
	readonly gradientAccumulation: number;
	readonly contextLength: number;
	readonly seed: number;
	readonly objective: {
		readonly kind: 'masked' | 'next_token';
		readonly minTime: number;
		readonly randomLengthFraction: number;
	};
	readonly optimizer: {
		readonly beta1: number;
		readonly beta2: number;
		readonly epsilon: number;
		readonly weightDecay: number;
		readonly gradientClip: number;
	};
	readonly learningRate: {
		readonly schedule: 'constant' | 'cosine' | 'wsd';
		readonly peak: number;
		readonly minimum: number;
		readonly warmupSteps: number;
		readonly decaySteps: number;
		readonly steps: number;
	};
	readonly emaDecay: number;
	readonly activationRecompute: boolean;
	readonly evalBatches: number;
};

/** Mirrors `struct SampleConfig`. `steps` and `commit.value` are each read for some kinds only; 0 where they are not. */
export type NativeSampleConfig = {
	readonly steps: number;
	readonly blockLength: number;
	readonly temperature: number;
	/** 0: all. */
	readonly topK: number;
	readonly topP: number;
	readonly remasking: 'low_confidence' | 'random' | 'margin' | 'entropy';
	readonly commit: {readonly kind: 'count' | 'threshold' | 'factor'; readonly value: number};
};

export type NativeAttention =
	| {readonly kind: 'full'}
	| {readonly kind: 'causal'}
	| {readonly kind: 'annealed'; readonly openProbability: number; readonly seed: number; readonly step: number}
	| {readonly kind: 'block_causal'; readonly blockLength: number}
	| {readonly kind: 'block_diffusion'; readonly blockLength: number}
	| {readonly kind: 'explicit'; readonly mask: Uint8Array};

/** Mirrors `struct Batch`. */
export type NativeBatch = {
	readonly batch: number;
	readonly length: number;
	readonly tokens: Int32Array;
	readonly targets: Int32Array | null;
	readonly lossWeights: Float32Array | null;
	readonly attention: NativeAttention;
	readonly positions: Int32Array | null;
	readonly lengths: Int32Array | null;
};

export type NativeStepStats = {
	readonly step: number;
	readonly loss: number;
	readonly gradientNorm: number;
	readonly learningRate: number;
	readonly tokens: number;
	readonly seconds: number;
	/** False: the loss or the gradient was not finite, so nothing has changed and the step is not completed. */
	readonly updated: boolean;
};

/** `tokens` is the prompt followed by the canvas; mask tokens in it are filled in. */
export type NativeSampleRequest = {
	readonly tokens: Int32Array;
	readonly promptLength: number;
	readonly seed: number;
	readonly index: number;
};

export type NativeFrame = {
	readonly step: number;
	readonly canvas: Int32Array;
	readonly positions: Int32Array;
	readonly confidences: Float32Array;
};

export type NativeSampleResult = {
	readonly tokens: Int32Array;
	readonly forwardPasses: number;
};

export type NativeParameter = {readonly name: string; readonly shape: readonly number[]};

/**
 * Work on one model runs in order on one thread of its own; promises settle on the JavaScript thread and reject with an
 * Error whose `code` is one of the ERR_ codes.
 */
export interface NativeModel {
	readonly parameterCount: number;
	parameters(): NativeParameter[];
	parameter(name: string): Promise<Float32Array>;
	forward(batch: NativeBatch): Promise<{logits: Float32Array; shape: [number, number, number]}>;
	/** Gradients of every parameter, in the order and with the shapes of `parameters()`. */
	lossAndGradients(batch: NativeBatch): Promise<{loss: number; gradients: Float32Array[]}>;
	/** Writes the weights as one .safetensors file at this path, fsynced. */
	save(path: string): Promise<void>;
	/** Returns at once: queued work is rejected with ERR_DISPOSED, memory is freed after the running job. */
	dispose(): void;
	/** Resolves when everything is freed. */
	disposed(): Promise<void>;
}

export interface NativeDataset {
	readonly size: number;
}

export interface NativeTrainer {
	readonly completedSteps: number;
	step(dataset: NativeDataset): Promise<NativeStepStats>;
	stepBatch(batch: NativeBatch): Promise<NativeStepStats>;
	/** Counts the steps up to this one as completed without taking them. */
	skipTo(step: number): Promise<void>;
	/** Rejects with ERR_ABORTED after abort(). */
	evaluate(dataset: NativeDataset): Promise<{nll: number; standardError: number}>;
	/** Ends the running evaluation, if there is one, between two batches. */
	abort(): void;
	/** Writes moments, counters and the device's plans as one .safetensors file at this path, fsynced. */
	save(path: string): Promise<void>;
	/** Resolves to why the plans cannot be used, so that bits may differ from those of an uninterrupted run; '' if they can. */
	load(path: string): Promise<string>;
	/** Replaces the model's weights by those of a .safetensors file. */
	loadWeights(path: string): Promise<void>;
	/** The moving average of the weights, likewise; ERR_CONFIG when none is kept. */
	saveEma(path: string): Promise<void>;
	loadEma(path: string): Promise<void>;
	dispose(): void;
}

export interface NativeSampler {
	readonly done: boolean;
	/** One forward pass for all requests; one frame per request. */
	step(): Promise<NativeFrame[]>;
	/** Runs to the end; rejects with ERR_ABORTED after abort(). */
	run(): Promise<NativeSampleResult[]>;
	abort(): void;
	dispose(): void;
}

export type NativeDevice = {
	readonly device: string;
	readonly name: string;
	readonly usable: boolean;
	/** Why it is unusable, or null. */
	readonly reason: string | null;
	/** Bytes of memory, or null when unknown. */
	readonly memory: number | null;
	/**
	 * For the CPU: `path` (the instruction set), `bfloat16` (what multiplies in it) and `threads`. For CUDA, as far as they are
	 * known: `module` (the file of this build's CUDA code), `driver`, `runtime`, `cublas` (versions), `architectures` (what that
	 * code was compiled for) and `computeCapability`.
	 */
	readonly details: Readonly<Record<string, string | number>>;
};

export type NativeModule = {
	readonly buildId: string;
	listDevices(): Promise<NativeDevice[]>;
	/** Bytes of native tensor memory held by this process; for tests. */
	allocatedBytes(): number;
	/** Random weights from the seed, or weights read from a .safetensors file. Resolves after the work is done. */
	createModel(
		config: NativeModelConfig,
		device: string,
		dtype: 'float32' | 'bfloat16',
		source: {seed: number} | {path: string},
	): Promise<NativeModel>;
	createTrainer(model: NativeModel, config: NativeTrainConfig): Promise<NativeTrainer>;
	createSampler(
		model: NativeModel,
		config: NativeSampleConfig,
		requests: readonly NativeSampleRequest[],
	): Promise<NativeSampler>;
	/** Maps a file of uint16 or uint32 tokens. Throws ERR_DATA. */
	openDataset(path: string, tokenBytes: 2 | 4): NativeDataset;
	datasetFromTokens(tokens: Int32Array): NativeDataset;
};
