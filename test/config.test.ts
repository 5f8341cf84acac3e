// Configs: defaults, what is refused and how the message says it, and the list of keys for the command line.
import test from 'ava';
import {
	configKeys,
	type ModelConfig,
	planSampling,
	resolveModelConfig,
	resolveSampleConfig,
	resolveTrainConfig,
	type SampleConfig,
	type TrainConfig,
} from '../lib/config.js';
import {presets} from '../lib/presets.js';
import {fails} from './support/expect.js';
import {tinyModel} from './support/tiny.js';

const context = {contextLength: 64};

test('fills in the defaults of a training run from the nano recipe', t => {
	t.deepEqual(resolveTrainConfig({}, context), {
		steps: 1500,
		batchSize: 32,
		gradientAccumulation: 1,
		contextLength: 64,
		learningRate: 3e-3,
		minLearningRate: 3e-3 / 10,
		warmupSteps: 75,
		decaySteps: 150,
		learningRateSchedule: 'cosine',
		betas: [0.9, 0.99],
		epsilon: 1e-8,
		weightDecay: 0.1,
		gradientClip: 1,
		emaDecay: 0,
		activationRecompute: false,
		onNonFinite: 'abort',
		seed: 0,
		evalEvery: 250,
		evalBatches: 40,
		earlyStoppingPatience: 0,
		saveEvery: 500,
		saveKeep: 3,
		objective: {kind: 'masked', minTime: 1e-3, randomLengthFraction: 0.01},
	});
	t.deepEqual(resolveTrainConfig(presets.nano.train, context), resolveTrainConfig({}, context));
});

test('derives defaults from the keys that are given', t => {
	const {minLearningRate, warmupSteps, decaySteps} = resolveTrainConfig({learningRate: 1, steps: 10}, context);
	t.is(minLearningRate, 0.1);
	t.is(warmupSteps, 1);
	t.is(decaySteps, 1);
	t.deepEqual(resolveTrainConfig({objective: {minTime: 0.5}}, context).objective, {
		kind: 'masked',
		minTime: 0.5,
		randomLengthFraction: 0.01,
	});
});

test('treats a key that is explicitly undefined as not given', t => {
	t.is(resolveTrainConfig({steps: undefined, warmupSteps: undefined}, context).warmupSteps, 75);
	t.is(resolveModelConfig({...tinyModel, kvHeads: undefined}).kvHeads, tinyModel.heads);
});

const wrongTraining: readonly (readonly [TrainConfig, RegExp])[] = [
	[{steps: 0}, /^TrainConfig: steps is 0; accepted: an integer from 1 to \d+$/],
	[{steps: 1.5}, /^TrainConfig: steps is 1\.5; accepted: an integer/],
	[{learningRate: 'fast' as never}, /learningRate is "fast"; accepted: a number above 0/],
	[{learningRate: Number.NaN}, /learningRate is NaN; accepted: a number above 0/],
	[{weightDecay: Number.POSITIVE_INFINITY}, /weightDecay is Infinity/],
	[{betas: [0.9] as never}, /betas is \[0\.9\]; accepted: a list of 2, each a number from 0 to 0\.9999999/],
	[{betas: [0.9, 1]}, /betas\[1\] is 1; accepted: a number from 0 to 0\.9999999/],
	[{betas: [1 - 1e-9, 0.9]}, /betas\[0\] is 0\.999999999; accepted/],
	[{learningRate: 1e300}, /learningRate is 1e\+300; accepted: a number above 0 and of at most 1e\+30/],
	[{learningRate: 1, minLearningRate: 1e300}, /minLearningRate is 1e\+300; accepted: a number from 0 to 1e\+30/],
	[{epsilon: 1e-50}, /epsilon is 1e-50; accepted: a number from 1e-30 to 1e\+30/],
	[
		{learningRateSchedule: 'linear' as never},
		/learningRateSchedule is "linear"; accepted: "constant", "cosine" or "wsd"/,
	],
	[{seed: -1}, /seed is -1; accepted: an integer of at least 0/],
	[{objective: {kind: 'adapt'} as never}, /objective\.kind is "adapt"; accepted: "masked" or "next_token"/],
	[
		{objective: {kind: 'next_token', minTime: 0.1} as never},
		/unknown key "minTime" in objective.*Accepted keys: kind$/,
	],
	[{objective: {kind: 'masked', minTime: 1}}, /objective\.minTime is 1; accepted: a number above 0 and below 1/],
	[
		{learningrate: 1} as never,
		/unknown key "learningrate"\. Did you mean "learningRate"\? Accepted keys: steps, batchSize/,
	],
	[{'batch-size': 1} as never, /Did you mean "batchSize"\?/],
	[{emaDecay: 1}, /emaDecay is 1; accepted: a number from 0 to 0\.9999999/],
	[{onNonFinite: 'ignore' as never}, /onNonFinite is "ignore"; accepted: "abort", "skip" or "rollback"/],
	[{batchSize: 2, gradientAccumulation: 3}, /gradientAccumulation is 3; accepted: at most batchSize \(2\)/],
	[{steps: 10, decaySteps: 11}, /decaySteps is 11; accepted: at most steps \(10\)/],
	[{contextLength: 65}, /contextLength is 65; accepted: at most the model's 64/],
	[{minLearningRate: 1}, /minLearningRate is 1; accepted: at most learningRate \(0\.003\)/],
	[{steps: 10, warmupSteps: 11}, /warmupSteps is 11; accepted: at most steps \(10\)/],
	[null as never, /the value is null; accepted: an object with the keys/],
];

for (const [config, message] of wrongTraining) {
	test(`refuses the training config ${JSON.stringify(config)} ${message}`, t => {
		fails(t, () => resolveTrainConfig(config, context), {code: 'ERR_CONFIG', message});
	});
}

test('fills in the defaults of a model from its family', t => {
	const small = {layers: 2, heads: 4, width: 64, contextLength: 32, vocabSize: 100} as const;
	const own = resolveModelConfig(small);
	t.like(own, {
		family: 'dllm_native',
		kvHeads: 4,
		mlpWidth: 256,
		maskTokenId: 99,
		positions: 'rotary',
		queryKeyNorm: true,
	});
	t.deepEqual(own.norm, {kind: 'rms', eps: 2 ** -23, bias: false});
	t.deepEqual(own.finalNorm, own.norm);
	const gpt2 = resolveModelConfig({...small, family: 'gpt2'});
	t.like(gpt2, {positions: 'learned', queryKeyNorm: false, mlp: 'gelu', tiedHead: true, qkvBias: true});
	t.deepEqual(gpt2.norm, {kind: 'layer', eps: 1e-5, bias: true});
	t.like(resolveModelConfig({...small, family: 'nanollada'}), {finalNorm: null, init: 'pytorch', headBias: true});
});

test('takes the final norm from the norm unless it is given', t => {
	const norm = {kind: 'layer', eps: 1e-3} as const;
	t.deepEqual(resolveModelConfig({...tinyModel, norm}).finalNorm, {...norm, bias: true});
	t.is(resolveModelConfig({...tinyModel, norm, finalNorm: null}).finalNorm, null);
});

const wrongModels: readonly (readonly [Partial<ModelConfig>, RegExp])[] = [
	[{layers: undefined}, /^ModelConfig: layers is missing; accepted: an integer from 1 to 1024$/],
	[{vocabSize: undefined}, /vocabSize is missing/],
	[{width: 17}, /width is 17; accepted: a multiple of heads \(2\)/],
	[{width: 260}, /width is 260; accepted: at most 128 per head/],
	[{width: 18}, /width is 18; accepted: an even number per head/],
	[{heads: 2, kvHeads: 3}, /kvHeads is 3; accepted: a divisor of heads/],
	[{maskTokenId: 18}, /maskTokenId is 18; accepted: an integer below vocabSize/],
	[{family: 'bert' as never}, /family is "bert"; accepted: "dllm_native", "gpt2", "llada", "dream" or "nanollada"/],
	[{norm: {kind: 'rms', bias: true}}, /norm\.bias is true; accepted: false with an RMS norm/],
	[{norm: {kind: 'group'} as never}, /norm\.kind is "group"; accepted: "layer" or "rms"/],
	[{finalNorm: {} as never}, /finalNorm\.kind is missing; accepted: "layer" or "rms"/],
	[{layers: 1e9}, /layers is 1000000000; accepted: an integer from 1 to 1024/],
	[{layers: undefined, layres: 1} as never, /unknown key "layres"\. Did you mean "layers"\?/],
	[{heads: undefined, head: 1} as never, /unknown key "head"\. Did you mean "heads"\?/],
	[{norm: {knd: 'rms'} as never}, /unknown key "knd" in norm\. Did you mean "kind"\?/],
	[{finalNorm: {knd: 'rms'} as never}, /unknown key "knd" in finalNorm\. Did you mean "kind"\?/],
	[{vocabSize: 1}, /vocabSize is 1; accepted: an integer from 2 to \d+/],
	[{norm: {kind: 'rms', eps: 1e-50}}, /norm\.eps is 1e-50; accepted: a number from 1e-30 to 1/],
	[{dropout: 1}, /dropout is 1; accepted: a number from 0 to 0\.99/],
];

for (const [config, message] of wrongModels) {
	test(`refuses the model config ${JSON.stringify(config)} ${message}`, t => {
		const whole = {...tinyModel, vocabSize: 18, ...config} as ModelConfig;
		fails(t, () => resolveModelConfig(whole), {code: 'ERR_CONFIG', message});
	});
}

const wrongSampling: readonly (readonly [SampleConfig, RegExp])[] = [
	[{length: 0}, /^SampleConfig: length is 0; accepted: an integer from 1/],
	[{length: 16, steps: 17}, /steps is 17; accepted: at most the number of mask tokens \(16\)/],
	[{length: 16, blockLength: 5}, /blockLength is 5; accepted: a divisor of the length \(16\)/],
	[
		{length: 16, blockLength: 4, steps: 6},
		/steps is 6; accepted: a multiple of the number of blocks \(4 of 4 tokens\)/,
	],
	[{temperature: -1}, /temperature is -1; accepted: a number of at least 0/],
	[{remasking: 'best' as never}, /remasking is "best"; accepted: "low_confidence", "random", "margin" or "entropy"/],
	[{topK: 0}, /topK is 0; accepted: an integer from 1/],
	[{topP: 0}, /topP is 0; accepted: a number above 0 and of at most 1/],
	[{topP: 1.5}, /topP is 1\.5; accepted: a number above 0 and of at most 1/],
	[{threshold: 0}, /threshold is 0; accepted: a number above 0 and of at most 1/],
	[{threshold: 1.01}, /threshold is 1\.01/],
	[{factor: 0}, /factor is 0; accepted: a number above 0 and of at most 16777216/],
	[{threshold: 0.9, factor: 1}, /factor is 1; accepted: nothing beside a threshold/],
	[{threshold: 0.9, steps: 4}, /steps is 4; accepted: nothing beside a threshold, which decides the number of passes/],
	[{factor: 1, steps: 4}, /steps is 4; accepted: nothing beside a factor/],
	[
		{threshold: 0.9, remasking: 'random'},
		/remasking is "random"; accepted: "low_confidence" or "margin" with a threshold/,
	],
	[{factor: 2, remasking: 'entropy'}, /remasking is "entropy"; accepted: "low_confidence" or "margin" with a factor/],
	[{threshold: 0.9, length: 8, blockLength: 3}, /blockLength is 3; accepted: a divisor of the length \(8\)/],
	[{topQ: 5} as never, /unknown key "topQ"/],
];

for (const [config, message] of wrongSampling) {
	test(`refuses the sample config ${JSON.stringify(config)} ${message}`, t => {
		fails(t, () => resolveSampleConfig(config), {code: 'ERR_CONFIG', message});
	});
}

test('plans one pass per mask token in one block unless told otherwise', t => {
	t.deepEqual(planSampling({}, {length: 12, masks: 7}), {steps: 7, blockLength: 12});
	t.deepEqual(planSampling({steps: 6, blockLength: 4}, {length: 12, masks: 12}), {steps: 6, blockLength: 4});
	t.deepEqual(planSampling({threshold: 0.9, blockLength: 4}, {length: 12, masks: 12}), {steps: 0, blockLength: 4});
});

test('lists every key with its type, default and description', t => {
	const keys = new Map(configKeys('train').map(key => [key.name, key]));
	t.is(keys.size, 25);
	t.like(keys.get('steps'), {path: ['steps'], type: 'integer', default: 1500});
	t.like(keys.get('betas'), {type: 'numbers', default: [0.9, 0.99]});
	t.like(keys.get('learningRateSchedule'), {type: 'string', choices: ['constant', 'cosine'], default: 'cosine'});
	t.like(keys.get('objective'), {
		path: ['objective', 'kind'],
		type: 'string',
		choices: ['masked', 'next_token'],
		default: 'masked',
	});
	t.like(keys.get('minTime'), {
		path: ['objective', 'minTime'],
		type: 'number',
		default: 1e-3,
		accepts: 'a number above 0 and below 1',
	});
	t.is(keys.get('warmupSteps')?.default, undefined);
	for (const kind of ['model', 'train', 'sample'] as const) {
		for (const {name, description, accepts} of configKeys(kind))
			t.true(description !== '' && accepts !== 'any value', name);
	}

	t.deepEqual(configKeys('model').find(({name}) => name === 'finalNormEps')?.path, ['finalNorm', 'eps']);
});

test('has presets that resolve, with the published numbers of parameters in their shapes', t => {
	for (const [name, {model, train}] of Object.entries(presets)) {
		const resolved = resolveModelConfig({vocabSize: 66, ...model});
		t.notThrows(() => resolveTrainConfig(train, resolved), name);
	}

	t.like(resolveModelConfig(presets['gpt2-xl'].model), {
		layers: 48,
		heads: 25,
		width: 1600,
		maskTokenId: 50_257,
		vocabSize: 50_258,
	});
});
