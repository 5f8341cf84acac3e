// What the tests of the native addon share: two models, their settings, and how a promise ended.
import type {ExecutionContext} from 'ava';
import {loadNative} from '../lib/native.js';
import type {NativeBatch, NativeModel, NativeModelConfig, NativeTrainConfig} from '../lib/native-types.js';

export const native = loadNative();
export const MASK = 59;
const norm = {kind: 'rms', eps: 1e-5, bias: false} as const;

export const small: NativeModelConfig = {
	naming: 'llama',
	layers: 2,
	heads: 2,
	kvHeads: 2,
	width: 32,
	mlpWidth: 64,
	vocabSize: 60,
	contextLength: 64,
	maskTokenId: MASK,
	norm,
	finalNorm: norm,
	positions: 'rotary',
	rotaryTheta: 1e4,
	qkvBias: true,
	attentionOutputBias: true,
	mlpBias: true,
	headBias: false,
	mlp: 'gelu',
	tiedHead: true,
	queryKeyNorm: true,
	queryKeyNormEps: 1e-5,
	dropout: 0,
	init: 'normal',
	initStd: 0.02,
};

// One training step takes long enough to act while it runs.
export const large: NativeModelConfig = {
	...small,
	layers: 4,
	heads: 4,
	kvHeads: 4,
	width: 256,
	mlpWidth: 1024,
	contextLength: 256,
};

export const training: NativeTrainConfig = {
	batchSize: 4,
	gradientAccumulation: 1,
	contextLength: 32,
	seed: 1,
	objective: {kind: 'masked', minTime: 1e-3, randomLengthFraction: 0.01},
	optimizer: {beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradientClip: 1},
	learningRate: {schedule: 'cosine', peak: 1e-3, minimum: 1e-4, warmupSteps: 2, decaySteps: 10, steps: 100},
	emaDecay: 0,
	activationRecompute: false,
	evalBatches: 2,
};
export const slowTraining: NativeTrainConfig = {...training, batchSize: 8, contextLength: 256};

export const sampling = {
	steps: 32,
	blockLength: 32,
	temperature: 0,
	topK: 0,
	topP: 1,
	remasking: 'low_confidence',
	commit: {kind: 'count', value: 0},
} as const;
export const request = {tokens: new Int32Array(34).fill(MASK).fill(1, 0, 2), promptLength: 2, seed: 0, index: 0};
export const longSampling = {...sampling, steps: 224, blockLength: 224};
export const longRequest = {...request, tokens: new Int32Array(226).fill(MASK).fill(1, 0, 2)};

export const dataset = native.datasetFromTokens(Int32Array.from({length: 5000}, (_, index) => (index * 7) % MASK));
export const batch: NativeBatch = {
	batch: 2,
	length: 8,
	tokens: new Int32Array(16),
	targets: new Int32Array(16).fill(3),
	lossWeights: new Float32Array(16).fill(1 / 16),
	attention: {kind: 'full'},
	positions: null,
	lengths: null,
};

export async function createModel(t: ExecutionContext, config = small): Promise<NativeModel> {
	const model = await native.createModel(config, 'cpu', 'float32', {seed: 1});
	t.teardown(async () => {
		model.dispose();
		await model.disposed();
	});
	return model;
}

export type Failure = Error & {readonly code: string};

/** How a promise that must reject does it. */
export async function failure(t: ExecutionContext, promise: Promise<unknown>): Promise<Failure> {
	return t.throwsAsync(promise) as Promise<Failure>;
}

/** 'done', or the code of the rejection. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
	return promise.then(
		() => 'done',
		(error: Failure) => error.code,
	);
}
