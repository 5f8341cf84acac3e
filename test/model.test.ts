// Model: making, saving, loading and disposing it, and what its passes refuse.
import {copyFile, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {Batch} from '../lib/batch.js';
import {listDevices} from '../lib/devices.js';
import {type LoadOptions, Model} from '../lib/model.js';
import {fails, rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';
import {tinyModel, tinyTokenizer} from './support/tiny.js';

const gpt2 = fixture('vectors', 'gpt2-masked');

const batch: Batch = {tokens: Int32Array.of(0, 1, 2, 3, 4, 5), batch: 2, length: 3};
const weighted: Batch = {
	...batch,
	targets: Int32Array.of(1, 2, 3, 4, 5, 0),
	lossWeights: new Float32Array(6).fill(1 / 6),
};

async function parametersOf(model: Model): Promise<Map<string, Float32Array>> {
	return new Map(
		await Promise.all(model.parameters().map(async ({name}) => [name, await model.parameter(name)] as const)),
	);
}

test('lists the CPU among the devices', async t => {
	const cpu = (await listDevices()).find(({device}) => device === 'cpu');
	t.true(cpu?.usable);
	t.is(cpu?.reason, null);
});

test('creates the same weights from the same seed', async t => {
	const [a, b, other] = await Promise.all([7, 7, 8].map(seed => Model.create(tinyModel, {seed})));
	t.deepEqual(await parametersOf(a!), await parametersOf(b!));
	t.notDeepEqual(await parametersOf(a!), await parametersOf(other!));
	t.like(a, {device: 'cpu', dtype: 'float32', tokenizer: undefined});
});

test('creates presets; the vocabulary comes from an option or the tokenizer', async t => {
	const model = await Model.create('nano', {tokenizer: tinyTokenizer});
	t.is(model.config.vocabSize, tinyTokenizer.vocabSize);
	t.is(model.config.maskTokenId, tinyTokenizer.maskTokenId);
	t.is(model.tokenizer, tinyTokenizer);
	const llada = await Model.create('nano-llada', {vocabSize: 66});
	t.is(llada.parameterCount, 3_313_730);
	t.is(
		llada.parameterCount,
		llada.parameters().reduce((sum, {shape}) => sum + shape.reduce((a, b) => a * b, 1), 0),
	);
});

test('refuses what cannot be created', async t => {
	const config = {code: 'ERR_CONFIG'} as const;
	await rejects(t, () => Model.create('nano'), {...config, message: /vocabSize is missing/});
	await rejects(t, () => Model.create('huge' as never), {...config, message: /no preset "huge"; accepted: nano,/});
	await rejects(t, () => Model.create({...tinyModel, width: 17}), {...config, message: /width is 17/});
	await rejects(t, () => Model.create(tinyModel, {seed: -1}), {...config, message: /seed is -1/});
	await rejects(t, () => Model.create(tinyModel, {device: 'gpu' as never}), {
		...config,
		message: /device is "gpu"; accepted: "auto"/,
	});
	await rejects(t, () => Model.create(tinyModel, {dtype: 'int8' as never}), {
		...config,
		message: /dtype is "int8"; accepted: "float32" or "bfloat16"/,
	});
	await rejects(t, () => Model.create(tinyModel, {vocabSize: 5, tokenizer: tinyTokenizer}), {
		...config,
		message: /at least the tokenizer's/,
	});
	await rejects(t, () => Model.create(tinyModel, {device: 'cuda:99'}), {
		code: 'ERR_DEVICE',
		message: /"cuda:99" cannot be used/,
	});
});

for (const name of ['gpt2-masked', 'gpt2-causal', 'llada-masked', 'dream-shifted']) {
	test(`saves ${name} so that it loads again, bit for bit`, async t => {
		const folder = path.join(await temporaryFolder(t), 'saved');
		const model = await Model.load(fixture('vectors', name));
		await model.save(folder);
		const again = await Model.load(folder);
		t.deepEqual(again.config, model.config);
		t.deepEqual(again.parameters(), model.parameters());
		t.deepEqual(await parametersOf(again), await parametersOf(model));
	});
}

test('keeps the tokenizer beside the weights', async t => {
	const folder = path.join(await temporaryFolder(t), 'saved');
	const model = await Model.create(tinyModel, {tokenizer: tinyTokenizer});
	await model.save(folder);
	t.deepEqual((await readdir(folder)).sort(), [
		'config.json',
		'manifest.json',
		'model.safetensors',
		'tokenizer_dllm.json',
	]);
	const again = await Model.load(folder);
	t.deepEqual(again.tokenizer?.description, tinyTokenizer.description);
	t.deepEqual(again.config, model.config);
});

test('replaces a checkpoint only when told to', async t => {
	const folder = path.join(await temporaryFolder(t), 'saved');
	const [first, second] = await Promise.all([1, 2].map(seed => Model.create(tinyModel, {seed})));
	await first!.save(folder);
	await rejects(t, () => second!.save(folder), {code: 'ERR_CHECKPOINT', message: /exists already/});
	t.deepEqual(await parametersOf(await Model.load(folder)), await parametersOf(first!));
	await second!.save(folder, {overwrite: true});
	t.deepEqual(await parametersOf(await Model.load(folder)), await parametersOf(second!));
	t.deepEqual(await readdir(path.dirname(folder)), ['saved']);
});

test('never replaces a folder that is no checkpoint', async t => {
	const folder = await temporaryFolder(t);
	await writeFile(path.join(folder, 'thesis.txt'), 'x');
	const model = await Model.create(tinyModel);
	await rejects(t, () => model.save(folder, {overwrite: true}), {
		code: 'ERR_CHECKPOINT',
		message: /holds no config\.json/,
	});
	t.deepEqual(await readdir(folder), ['thesis.txt']);
});

async function damaged(t: ExecutionContext, change: (folder: string) => Promise<void>): Promise<string> {
	const folder = await temporaryFolder(t);
	for (const file of ['config.json', 'model.safetensors'])
		await copyFile(path.join(gpt2, file), path.join(folder, file));
	await change(folder);
	return folder;
}

test('says what is wrong with a checkpoint', async t => {
	const loading = async (change: (folder: string) => Promise<void>, message: RegExp, options?: LoadOptions) => {
		const folder = await damaged(t, change);
		await rejects(t, () => Model.load(folder, options), {code: 'ERR_CHECKPOINT', message});
	};
	const replaceConfig = (change: object) => async (folder: string) => {
		const file = path.join(folder, 'config.json');
		await writeFile(file, JSON.stringify({...JSON.parse(await readFile(file, 'utf8')), ...change}));
	};
	await loading(
		folder => writeFile(path.join(folder, 'config.json'), '{"n_layer": }'),
		/config\.json .*line 1, column 13/,
	);
	await loading(replaceConfig({n_layer: 3}), /model\.safetensors: tensor h\.2\..* is missing/);
	await loading(replaceConfig({n_layer: 1}), /tensor h\.1\..* is not part of the configured model/);
	await loading(replaceConfig({vocab_size: 65}), /tensor wte\.weight has shape \[64, 32\].*\[65, 32\]/);
	await loading(folder => writeFile(path.join(folder, 'model.safetensors'), 'short'), /model\.safetensors/);
	await loading(
		folder => writeFile(path.join(folder, 'latest'), '../secret'),
		/latest is "\.\.\/secret"; accepted: the name of a checkpoint/,
	);
	await loading(
		folder => writeFile(path.join(folder, 'latest'), 'step-5'),
		/names step-5, which is missing; checkpoints there: none/,
	);
	await rejects(t, () => Model.load('org/model'), {code: 'ERR_CHECKPOINT', message: /no checkpoint at org\/model/});
	await rejects(t, () => Model.load(path.join(gpt2, 'config.json')), {
		code: 'ERR_CHECKPOINT',
		message: /is not a folder/,
	});
	await rejects(t, () => Model.load(undefined as never), {
		code: 'ERR_CHECKPOINT',
		message: /the checkpoint is undefined/,
	});
	const empty = await temporaryFolder(t);
	await rejects(t, () => Model.load(empty), {code: 'ERR_CHECKPOINT', message: /config\.json .*does not exist/});
});

test('says that weights in several files are not read', async t => {
	const folder = await temporaryFolder(t);
	await copyFile(path.join(gpt2, 'config.json'), path.join(folder, 'config.json'));
	await writeFile(path.join(folder, 'model.safetensors.index.json'), '{}');
	await rejects(t, () => Model.load(folder), {
		code: 'ERR_CHECKPOINT',
		message: /no model\.safetensors; weights in several files/,
	});
});

test('takes the mask token of the option', async t => {
	t.is((await Model.load(gpt2)).config.maskTokenId, 63);
	t.is((await Model.load(gpt2, {maskTokenId: 10})).config.maskTokenId, 10);
	await rejects(t, () => Model.load(gpt2, {maskTokenId: 64}), {code: 'ERR_CONFIG', message: /maskTokenId is 64/});
});

test('refuses a parameter name that is not there', async t => {
	const model = await Model.create(tinyModel);
	await rejects(t, () => model.parameter('wte'), {code: 'ERR_CONFIG', message: /wte/});
});

test('refuses every call after dispose', async t => {
	const model = await Model.create(tinyModel);
	model.dispose();
	model.dispose();
	const disposed = {code: 'ERR_DISPOSED', message: /disposed/} as const;
	await rejects(t, () => model.forward(batch), disposed);
	await rejects(t, () => model.lossAndGradients(weighted), disposed);
	await rejects(t, () => model.parameter('model.norm.weight'), disposed);
	await rejects(t, () => model.save('/nowhere'), disposed);
	fails(t, () => model.parameters(), disposed);
	await model[Symbol.asyncDispose]();
});

test('rejects queued calls on dispose', async t => {
	const model = await Model.create('nano', {vocabSize: 66});
	const tokens = new Int32Array(64 * 64);
	const calls = [1, 2, 3].map(() => model.forward({tokens, batch: 64, length: 64}));
	model.dispose();
	const results = await Promise.allSettled(calls);
	const last = results.at(-1) as PromiseRejectedResult;
	t.is(last.status, 'rejected');
	t.is((last.reason as {code?: string}).code, 'ERR_DISPOSED');
});
