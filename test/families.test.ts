// config.json of every family to a ModelConfig and back, and what is refused.
import {readFile} from 'node:fs/promises';
import test from 'ava';
import fc from 'fast-check';
import {type ModelConfig, resolveModelConfig} from '../lib/config.js';
import {CheckpointError} from '../lib/errors.js';
import {readFamilyConfig, writeFamilyConfig} from '../lib/families.js';
import {fails} from './support/expect.js';
import {fixture} from './support/folders.js';
import {tinyModel} from './support/tiny.js';

type Json = Record<string, unknown>;

async function fixtureConfig(name: string): Promise<Json> {
	return JSON.parse(await readFile(fixture('vectors', name, 'config.json'), 'utf8')) as Json;
}

test('reads GPT-2 and takes the last id as the mask token when it has none', async t => {
	const json = await fixtureConfig('gpt2-masked');
	const expected = {
		family: 'gpt2',
		layers: 2,
		heads: 4,
		width: 32,
		mlpWidth: 128,
		vocabSize: 64,
		contextLength: 32,
	} as const;
	t.deepEqual(readFamilyConfig(json, 'config.json'), resolveModelConfig(expected));
	t.is(readFamilyConfig(json, 'config.json').maskTokenId, 63);
	t.is(readFamilyConfig({...json, mask_token_id: 7}, 'config.json').maskTokenId, 7);
	t.is(readFamilyConfig({...json, mask_token_id: 7}, 'config.json', 9).maskTokenId, 9);
	t.is(readFamilyConfig({...json, dllm_native: {mask_token_id: 5}}, 'config.json').maskTokenId, 5);
});

test('reads LLaDA', async t => {
	const config = readFamilyConfig(await fixtureConfig('llada-masked'), 'config.json');
	t.like(config, {
		family: 'llada',
		kvHeads: 4,
		mlpWidth: 56,
		positions: 'rotary',
		rotaryTheta: 5e5,
		mlp: 'swiglu',
		tiedHead: false,
		maskTokenId: 63,
	});
	t.deepEqual(config.norm, {kind: 'rms', eps: 1e-5, bias: false});
});

test('reads the LLaDA variants: layer norm, biases, grouped queries, tied and padded embeddings', async t => {
	const json = await fixtureConfig('llada-masked');
	const variant = {
		...json,
		layer_norm_type: 'default',
		n_kv_heads: 2,
		include_qkv_bias: true,
		weight_tying: true,
		embedding_size: 128,
	};
	const config = readFamilyConfig(variant, 'config.json');
	t.like(config, {kvHeads: 2, qkvBias: true, mlpBias: false, tiedHead: true, vocabSize: 128});
	t.deepEqual(config.norm, {kind: 'layer', eps: 1e-5, bias: false});
	t.is(readFamilyConfig({...json, mlp_hidden_size: null}, 'config.json').mlpWidth, 128);
});

test('reads Dream and Qwen2', async t => {
	const json = await fixtureConfig('dream-shifted');
	const config = readFamilyConfig(json, 'config.json');
	t.like(config, {
		family: 'dream',
		heads: 4,
		kvHeads: 2,
		rotaryTheta: 1e6,
		qkvBias: true,
		attentionOutputBias: false,
		mlp: 'swiglu',
	});
	t.deepEqual(readFamilyConfig({...json, model_type: 'qwen2'}, 'config.json'), config);
});

for (const name of ['gpt2-masked', 'llada-masked', 'dream-shifted']) {
	test(`writes ${name} back in its own keys`, async t => {
		const source = {...(await fixtureConfig(name)), auto_map: {AutoModel: 'x'}};
		const config = readFamilyConfig(source, 'config.json');
		const json = writeFamilyConfig(config, source);
		t.deepEqual(readFamilyConfig(json, 'config.json'), config);
		t.deepEqual(json.auto_map, source.auto_map);
		t.false('dllm_native' in json);
		for (const [key, value] of Object.entries(source)) t.deepEqual(json[key], value, key);
	});
}

const unusual: readonly ModelConfig[] = [
	{...tinyModel, maskTokenId: 3},
	{...tinyModel, norm: {kind: 'layer', eps: 1e-3}, finalNorm: null, positions: 'learned', mlp: 'silu'},
	{
		...tinyModel,
		mlp: 'swiglu',
		qkvBias: false,
		attentionOutputBias: false,
		mlpBias: false,
		tiedHead: false,
		headBias: true,
	},
	{...tinyModel, family: 'gpt2', positions: 'rotary', queryKeyNorm: true, rotaryTheta: 5, kvHeads: 1, mlpWidth: 10},
	{
		...tinyModel,
		family: 'llada',
		norm: {kind: 'layer', eps: 1e-4, bias: true},
		attentionOutputBias: true,
		initStd: 0.1,
	},
	{...tinyModel, family: 'dream', queryKeyNorm: true, queryKeyNormEps: 1e-3, init: 'pytorch', mlp: 'gelu'},
	{...tinyModel, family: 'nanollada', mlpWidth: 12, finalNorm: {kind: 'rms', eps: 1e-4}, headBias: false},
];

for (const [index, config] of unusual.entries()) {
	test(`keeps every key of unusual model ${index} (${config.family ?? 'dllm_native'})`, t => {
		const resolved = resolveModelConfig(config);
		const json = JSON.parse(JSON.stringify(writeFamilyConfig(resolved))) as Json;
		t.deepEqual(readFamilyConfig(json, 'config.json'), resolved);
	});
}

test('writes our own models with mask_token_id and snake_case extras', t => {
	const json = writeFamilyConfig(resolveModelConfig({...tinyModel, queryKeyNorm: false}));
	t.like(json, {model_type: 'dllm_native', mask_token_id: tinyModel.vocabSize - 1, hidden_act: 'gelu_pytorch_tanh'});
	t.deepEqual(json.dllm_native, {query_key_norm: false});
});

const refused: readonly (readonly [string, Json, RegExp])[] = [
	['gpt2-masked', {model_type: 'bert'}, /^a\/config\.json: model_type is "bert"; accepted: "dllm_native", "gpt2"/],
	['gpt2-masked', {model_type: undefined}, /model_type is missing/],
	['gpt2-masked', {n_layer: 'two'}, /^a\/config\.json: n_layer is "two"; accepted: an integer from 1 to 1024$/],
	['gpt2-masked', {n_layer: 1e12}, /n_layer is 1000000000000/],
	['gpt2-masked', {n_embd: 30}, /width is 30; accepted: a multiple of heads \(4\)/],
	[
		'gpt2-masked',
		{activation_function: 'relu'},
		/activation_function is "relu"; accepted: "gelu_new", "gelu_pytorch_tanh" or null/,
	],
	[
		'gpt2-masked',
		{scale_attn_by_inverse_layer_idx: true},
		/scale_attn_by_inverse_layer_idx is true; accepted: false or null/,
	],
	['gpt2-masked', {mask_token_id: 64}, /maskTokenId is 64; accepted: an integer below vocabSize \(64\)/],
	['gpt2-masked', {dllm_native: {dropping: 1}}, /^a\/config\.json: dllm_native: unknown key "dropping"/],
	['gpt2-masked', {dllm_native: {family: 'llada'}}, /dllm_native: unknown key "family"/],
	['gpt2-masked', {dllm_native: {norm: {kind: 'rms', epsilon: 1}}}, /unknown key "epsilon" in norm/],
	['gpt2-masked', {dllm_native: 5}, /dllm_native: the value is 5; accepted: an object/],
	['llada-masked', {alibi: true}, /alibi is true/],
	['llada-masked', {rope: false}, /rope is false; accepted: true/],
	['llada-masked', {input_emb_norm: true}, /input_emb_norm is true/],
	['llada-masked', {activation_type: 'gelu'}, /activation_type is "gelu"; accepted: "silu"/],
	['llada-masked', {block_type: 'sequential'}, /block_type is "sequential"; accepted: "llama" or null/],
	['llada-masked', {include_bias: true}, /norm\.bias is true; accepted: false with an RMS norm/],
	['dream-shifted', {rope_scaling: {type: 'yarn'}}, /rope_scaling is \{"type":"yarn"\}; accepted: null/],
	['dream-shifted', {rope_parameters: {rope_type: 'yarn', rope_theta: 1}}, /rope_parameters\.rope_type is "yarn"/],
	['dream-shifted', {num_key_value_heads: 3}, /kvHeads is 3; accepted: a divisor of heads \(4\)/],
	['dream-shifted', {hidden_act: 'gelu'}, /hidden_act is "gelu"; accepted: "silu" or null/],
];

for (const [name, change, message] of refused) {
	test(`refuses ${name} with ${JSON.stringify(change)}`, async t => {
		const json = {...(await fixtureConfig(name)), ...change};
		fails(t, () => readFamilyConfig(json, 'a/config.json'), {code: 'ERR_CHECKPOINT', message});
	});
}

test('refuses what is not an object', t => {
	for (const value of [null, 5, 'x', []]) {
		fails(t, () => readFamilyConfig(value, 'f'), {
			code: 'ERR_CHECKPOINT',
			message: /^f: the content is .*; accepted: an object/,
		});
	}
});

for (const name of ['gpt2-masked', 'llada-masked', 'dream-shifted']) {
	test(`answers any value of any key of ${name} with a model or ERR_CHECKPOINT`, async t => {
		const base = await fixtureConfig(name);
		const key = fc.constantFrom(
			...Object.keys(base),
			'dllm_native',
			'n_inner',
			'embedding_size',
			'bias_for_layer_norm',
		);
		const value = fc.oneof(
			fc.jsonValue(),
			fc.integer(),
			fc.double(),
			fc.dictionary(fc.constantFrom('norm', 'mlp_width', 'layers'), fc.jsonValue()),
		);
		const changes = fc.dictionary(key, value, {minKeys: 1, maxKeys: 3});
		const answers = fc.property(changes, change => {
			try {
				readFamilyConfig({...base, ...change}, 'f');
			} catch (error) {
				if (!(error instanceof CheckpointError)) throw error;
			}
		});
		t.notThrows(() => fc.assert(answers, {numRuns: 500, seed: 1}));
	});
}

test('refuses a mask token outside the vocabulary as an option', async t => {
	const json = await fixtureConfig('gpt2-masked');
	for (const id of [64, -1, 1.5]) {
		fails(t, () => readFamilyConfig(json, 'f', id), {
			code: 'ERR_CONFIG',
			message: /maskTokenId is .*; accepted: an integer from 0 to 63/,
		});
	}
});
