// The configs of a model, a training run and a sampler: fills in defaults, checks that keys fit together, converts to native form.
import {checkArgument} from './config/arguments.js';
import {type Blame, check, withoutUndefined} from './config/check.js';
import {
	type Family,
	familyDefaults,
	type ModelConfig,
	modelSchema,
	type ResolvedModelConfig,
	type ResolvedNorm,
} from './config/model.js';
import {type ResolvedSampleConfig, type SampleConfig, sampleSchema} from './config/sample.js';
import {type ResolvedTrainConfig, type TrainConfig, trainSchema} from './config/train.js';
import {ConfigError} from './errors.js';
import type {NativeModelConfig, NativeSampleConfig, NativeTrainConfig} from './native-types.js';

export {type ConfigKey, configKeys} from './config/keys.js';
export type {Family, ModelConfig, Norm, ResolvedModelConfig, ResolvedNorm} from './config/model.js';
export type {ResolvedSampleConfig, SampleConfig} from './config/sample.js';
export type {Objective, ResolvedTrainConfig, TrainConfig} from './config/train.js';

const blame = (name: string): Blame => ({name, fail: message => new ConfigError(message)});

function reject({name, fail}: Blame, key: string, found: unknown, accepted: string): never {
	throw fail(`${name}: ${key} is ${String(found)}; accepted: ${accepted}`);
}

/**
 * Fills in a model's defaults and checks it.
 *
 * @param owner Whose rules the error says are broken.
 * @throws ConfigError naming the key, what it got and what it takes.
 */
export function resolveModelConfig(config: ModelConfig, owner: Blame = blame('ModelConfig')): ResolvedModelConfig {
	const {family, norm, finalNorm, vocabSize, ...given} = check(modelSchema, config, owner);
	if (vocabSize === undefined) {
		throw owner.fail(`${owner.name}: vocabSize is missing; accepted: an integer, such as the tokenizer's vocabSize`);
	}

	const defaults = familyDefaults[family];
	const resolvedNorm = resolveNorm(norm) ?? defaults.norm;
	const defaultFinalNorm = defaults.finalNorm && resolvedNorm;
	const resolved: ResolvedModelConfig = {
		...defaults,
		kvHeads: given.heads,
		mlpWidth: 4 * given.width,
		maskTokenId: vocabSize - 1,
		...withoutUndefined(given),
		family,
		vocabSize,
		norm: resolvedNorm,
		finalNorm: finalNorm === undefined ? defaultFinalNorm : finalNorm && resolveNorm(finalNorm)!,
	};
	checkModel(resolved, owner);
	return resolved;
}

function resolveNorm(norm: {kind: 'layer' | 'rms'; eps: number; bias?: boolean} | undefined): ResolvedNorm | undefined {
	return norm && {kind: norm.kind, eps: norm.eps, bias: norm.bias ?? norm.kind === 'layer'};
}

function checkModel(config: ResolvedModelConfig, owner: Blame): void {
	const {heads, kvHeads, width, mlpWidth, vocabSize, maskTokenId, positions, norm, finalNorm} = config;
	if (width % heads !== 0) reject(owner, 'width', width, `a multiple of heads (${heads})`);
	if (heads % kvHeads !== 0) reject(owner, 'kvHeads', kvHeads, `a divisor of heads (${heads})`);
	if (mlpWidth > 2 ** 24) reject(owner, 'mlpWidth', mlpWidth, `an integer from 1 to ${2 ** 24}`);
	if (width / heads > 128) reject(owner, 'width', width, `at most 128 per head (${heads} heads)`);
	if (positions === 'rotary' && (width / heads) % 2 !== 0) {
		reject(owner, 'width', width, `an even number per head (${heads} heads) with rotary positions`);
	}

	if (maskTokenId >= vocabSize) reject(owner, 'maskTokenId', maskTokenId, `an integer below vocabSize (${vocabSize})`);
	for (const [key, value] of Object.entries({norm, finalNorm})) {
		if (value?.kind === 'rms' && value.bias) reject(owner, `${key}.bias`, true, 'false with an RMS norm');
	}
}

/**
 * Fills in a training run's defaults and checks it against the model that it trains.
 * @throws ConfigError naming the key, what it got and what it takes.
 */
export function resolveTrainConfig(config: TrainConfig, model: {readonly contextLength: number}): ResolvedTrainConfig {
	const owner = blame('TrainConfig');
	const isModel = Number.isInteger(model?.contextLength);
	checkArgument('the model of a TrainConfig', model, isModel, 'an object with its contextLength');
	const {contextLength, minLearningRate, warmupSteps, decaySteps, ...given} = check(trainSchema, config, owner);
	const {steps, learningRate} = given;
	const resolved: ResolvedTrainConfig = {
		...given,
		contextLength: contextLength ?? model.contextLength,
		minLearningRate: minLearningRate ?? learningRate / 10,
		warmupSteps: warmupSteps ?? Math.max(1, Math.floor(steps / 20)),
		decaySteps: decaySteps ?? Math.max(1, Math.floor(steps / 10)),
	};
	if (resolved.contextLength > model.contextLength) {
		reject(owner, 'contextLength', resolved.contextLength, `at most the model's ${model.contextLength}`);
	}

	if (resolved.objective.kind === 'next_token' && resolved.contextLength < 2) {
		reject(owner, 'contextLength', resolved.contextLength, 'at least 2 with the objective "next_token"');
	}

	if (resolved.minLearningRate > learningRate) {
		reject(owner, 'minLearningRate', resolved.minLearningRate, `at most learningRate (${learningRate})`);
	}

	if (resolved.warmupSteps > steps) reject(owner, 'warmupSteps', resolved.warmupSteps, `at most steps (${steps})`);
	if (resolved.decaySteps > steps) reject(owner, 'decaySteps', resolved.decaySteps, `at most steps (${steps})`);
	const {gradientAccumulation, batchSize} = resolved;
	if (gradientAccumulation > batchSize) {
		reject(owner, 'gradientAccumulation', gradientAccumulation, `at most batchSize (${batchSize})`);
	}

	return resolved;
}

/**
 * Fills in a sampler's defaults and checks what does not depend on a request.
 * @throws ConfigError naming the key, what it got and what it takes.
 */
export function resolveSampleConfig(config: SampleConfig): ResolvedSampleConfig {
	const owner = blame('SampleConfig');
	const resolved = check(sampleSchema, config, owner);
	const {steps, remasking, threshold, factor} = resolved;
	if (threshold !== undefined && factor !== undefined) reject(owner, 'factor', factor, 'nothing beside a threshold');
	const name = threshold === undefined ? 'factor' : 'threshold';
	if ((threshold ?? factor) !== undefined) {
		if (steps !== undefined)
			reject(owner, 'steps', steps, `nothing beside a ${name}, which decides the number of passes`);
		if (remasking === 'random' || remasking === 'entropy') {
			reject(owner, 'remasking', `"${remasking}"`, `"low_confidence" or "margin" with a ${name}`);
		}
	}

	if (resolved.length !== undefined) planSampling(resolved, {length: resolved.length, masks: resolved.length});
	return resolved;
}

/** How one request is sampled: forward passes over all blocks (0 where they depend on the model), and tokens per block. */
export type SamplePlan = {readonly steps: number; readonly blockLength: number};

/**
 * The passes and blocks of a request with `length` new tokens of which `masks` are mask tokens.
 * @throws ConfigError when they do not divide.
 */
export function planSampling(
	config: Pick<SampleConfig, 'steps' | 'blockLength' | 'threshold' | 'factor'>,
	request: {readonly length: number; readonly masks: number},
): SamplePlan {
	const owner = blame('SampleConfig');
	const {length, masks} = request;
	const {blockLength = length, steps = masks} = config;
	if (length % blockLength !== 0) reject(owner, 'blockLength', blockLength, `a divisor of the length (${length})`);
	if ((config.threshold ?? config.factor) !== undefined) return {steps: 0, blockLength};
	if (steps > masks) reject(owner, 'steps', steps, `at most the number of mask tokens (${masks})`);
	const blocks = length / blockLength;
	if (steps % blocks !== 0)
		reject(owner, 'steps', steps, `a multiple of the number of blocks (${blocks} of ${blockLength} tokens)`);
	return {steps, blockLength};
}

export function toNativeSampleConfig(config: ResolvedSampleConfig, plan: SamplePlan): NativeSampleConfig {
	const {temperature, topK = 0, topP, remasking, threshold, factor} = config;
	const kind = threshold !== undefined ? 'threshold' : factor !== undefined ? 'factor' : 'count';
	return {...plan, temperature, topK, topP, remasking, commit: {kind, value: threshold ?? factor ?? 0}};
}

const naming: Record<Family, NativeModelConfig['naming']> = {
	dllm_native: 'llama',
	dream: 'llama',
	gpt2: 'gpt2',
	llada: 'llada',
	nanollada: 'nanollada',
};

export function toNativeModelConfig({family, ...config}: ResolvedModelConfig): NativeModelConfig {
	return {naming: naming[family], ...config};
}

export function toNativeTrainConfig(config: ResolvedTrainConfig): NativeTrainConfig {
	const [beta1, beta2] = config.betas;
	return {
		batchSize: config.batchSize,
		gradientAccumulation: config.gradientAccumulation,
		contextLength: config.contextLength,
		seed: config.seed,
		// next_token draws no masks: its two numbers are never read
		objective: {minTime: 0, randomLengthFraction: 0, ...config.objective},
		optimizer: {
			beta1,
			beta2,
			epsilon: config.epsilon,
			weightDecay: config.weightDecay,
			gradientClip: config.gradientClip,
		},
		learningRate: {
			schedule: config.learningRateSchedule,
			peak: config.learningRate,
			minimum: config.minLearningRate,
			warmupSteps: config.warmupSteps,
			decaySteps: config.decaySteps,
			steps: config.steps,
		},
		emaDecay: config.emaDecay,
		activationRecompute: config.activationRecompute,
		evalBatches: config.evalBatches,
	};
}
