// The native addon as lib/ sees it: its exports, what it computes, its argument checks and error codes.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {
	NativeBatch,
	NativeModel,
	NativeModelConfig,
	NativeModule,
	NativeSampler,
	NativeTrainer,
} from '../lib/native-types.js';
import {
	batch,
	createModel,
	dataset,
	type Failure,
	failure,
	MASK,
	native,
	request,
	sampling,
	small,
	training,
} from './bindings-support.js';

function makeFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(path.join(tmpdir(), 'dllm-bindings-'));
	t.teardown(() => rmSync(folder, {recursive: true}));
	return folder;
}

test.serial('exports what native-types.ts declares', async t => {
	const declared: Record<keyof NativeModule, 'string' | 'function'> = {
		buildId: 'string',
		listDevices: 'function',
		allocatedBytes: 'function',
		createModel: 'function',
		createTrainer: 'function',
		createSampler: 'function',
		openDataset: 'function',
		datasetFromTokens: 'function',
	};
	// `path` is added by the package that finds the addon.
	const exported = Object.entries(native).filter(([name]) => name !== 'path');
	t.deepEqual(Object.fromEntries(exported.map(([name, value]) => [name, typeof value])), declared);

	const model = await createModel(t);
	const members = (object: object) => Object.getOwnPropertyNames(Object.getPrototypeOf(object)).sort();
	const expected = (keys: Record<string, true>) => ['constructor', ...Object.keys(keys)].sort();
	const ofModel: Record<keyof NativeModel, true> = {
		parameterCount: true,
		parameters: true,
		parameter: true,
		forward: true,
		lossAndGradients: true,
		save: true,
		dispose: true,
		disposed: true,
	};
	const ofTrainer: Record<keyof NativeTrainer, true> = {
		completedSteps: true,
		step: true,
		stepBatch: true,
		skipTo: true,
		evaluate: true,
		abort: true,
		save: true,
		load: true,
		loadWeights: true,
		saveEma: true,
		loadEma: true,
		dispose: true,
	};
	const ofSampler: Record<keyof NativeSampler, true> = {done: true, step: true, run: true, abort: true, dispose: true};
	t.deepEqual(members(model), expected(ofModel));
	t.deepEqual(members(await native.createTrainer(model, training)), expected(ofTrainer));
	t.deepEqual(members(await native.createSampler(model, sampling, [request])), expected(ofSampler));
	t.deepEqual(members(dataset), expected({size: true}));
});

test.serial('lists the CPU with its path and threads, and says why a GPU cannot be used', async t => {
	const [cpu, ...gpus] = await native.listDevices();
	t.true(cpu?.usable);
	t.true(typeof cpu?.details.path === 'string' && Number(cpu.details.threads) >= 1);
	t.true(Number(cpu?.memory) > 2 ** 20);
	t.true(gpus.length > 0 && gpus.every(({usable, reason}) => usable === (reason === null)));
});

test.serial('computes: shapes, gradients, steps, samples and files', async t => {
	const model = await createModel(t);
	const parameters = model.parameters();
	const size = ({shape}: {readonly shape: readonly number[]}) => shape.reduce((a, b) => a * b, 1);
	t.is(
		parameters.map(size).reduce((a, b) => a + b),
		model.parameterCount,
	);
	t.is((await model.parameter(parameters[0]!.name)).length, size(parameters[0]!));

	const {logits, shape} = await model.forward(batch);
	t.deepEqual(shape, [2, 8, 60]);
	t.is(logits.length, 2 * 8 * 60);
	t.is(logits.buffer.byteLength, logits.byteLength);
	const noisy = await model.forward({...batch, attention: {kind: 'block_diffusion', blockLength: 2}});
	t.deepEqual(noisy.shape, [2, 4, 60]);
	const {loss, gradients} = await model.lossAndGradients(batch);
	t.true(loss > 0 && Number.isFinite(loss));
	t.deepEqual(
		gradients.map(({length}) => length),
		parameters.map(size),
	);

	const trainer = await native.createTrainer(model, training);
	t.is((await trainer.step(dataset)).step, 1);
	t.is((await trainer.stepBatch(batch)).tokens, 16);
	t.is(trainer.completedSteps, 2);
	t.true((await trainer.evaluate(dataset)).nll > 0);

	const sampler = await native.createSampler(model, sampling, [request, request]);
	const frames = await sampler.step();
	t.deepEqual(
		frames.map(({step, positions}) => [step, positions.length]),
		[
			[1, 1],
			[1, 1],
		],
	);
	t.false(sampler.done);
	const samples = await sampler.run();
	t.true(sampler.done);
	t.is(samples[0]!.forwardPasses, 32);
	t.false(samples[0]!.tokens.includes(MASK));
	t.deepEqual(samples[0], samples[1]);

	const folder = makeFolder(t);
	await model.save(path.join(folder, 'model.safetensors'));
	await trainer.save(path.join(folder, 'trainer.safetensors'));
	const copy = await native.createModel(small, 'cpu', 'float32', {path: path.join(folder, 'model.safetensors')});
	const resumed = await native.createTrainer(copy, training);
	await resumed.load(path.join(folder, 'trainer.safetensors'));
	t.is(resumed.completedSteps, 2);
	t.deepEqual(await resumed.step(dataset).then(({loss}) => loss), await trainer.step(dataset).then(({loss}) => loss));
	copy.dispose();
	await copy.disposed();
});

test.serial('names the argument that is wrong', async t => {
	const model = await createModel(t);
	const detached = new Int32Array(16);
	structuredClone(detached.buffer, {transfer: [detached.buffer]});
	const attention = (value: object) => ({...batch, attention: value});
	const batches: Array<[unknown, RegExp]> = [
		[undefined, /^batch must be an object, got undefined$/],
		[{...batch, tokens: new Float32Array(16)}, /^batch\.tokens must be an Int32Array, got a Float32Array$/],
		[{...batch, tokens: [1, 2]}, /^batch\.tokens must be an Int32Array, got an array$/],
		[{...batch, tokens: detached}, /^batch\.tokens .* transferred/],
		[{...batch, tokens: new Int32Array(15)}, /^batch\.tokens has 15 elements/],
		[{...batch, tokens: new Int32Array(16).fill(60)}, /^batch\.tokens\[0\] is 60/],
		[{...batch, lengths: undefined}, /^batch\.lengths must be an Int32Array, got undefined$/],
		[{...batch, length: 8.5}, /^batch\.length must be an integer from 0 to \d+, got 8\.5$/],
		[{...batch, length: '8'}, /^batch\.length must be an integer .*, got '8'$/],
		[{...batch, batch: -1}, /^batch\.batch must be an integer/],
		[{...batch, batch: 2 ** 40}, /^batch\.batch must be an integer/],
		[attention({kind: 'sparse'}), /^batch\.attention\.kind must be 'full', .* or 'explicit', got 'sparse'$/],
		[attention({kind: 'annealed', openProbability: NaN, seed: 0, step: 0}), /^batch\.attention\.openProbability /],
		[attention({kind: 'annealed', openProbability: 1, seed: 2 ** 53, step: 0}), /^batch\.attention\.seed /],
		[
			attention({kind: 'explicit', mask: new Int8Array(64)}),
			/^batch\.attention\.mask must be a Uint8Array, got an Int8/,
		],
	];
	for (const [value, message] of batches) {
		const error = await failure(t, model.forward(value as NativeBatch));
		t.is(error.code, 'ERR_CONFIG');
		t.regex(error.message, message);
	}

	t.true((await failure(t, model.forward({...batch, tokens: null} as unknown as NativeBatch))) instanceof TypeError);
	const thrown = await failure(
		t,
		model.forward({
			get batch() {
				throw new RangeError('mine');
			},
		} as unknown as NativeBatch),
	);
	t.is(thrown.message, 'mine');

	const huge = {...small, layers: 1024, heads: 4096, kvHeads: 4096, width: 2 ** 19, mlpWidth: 2 ** 24};
	const others: Array<[Promise<unknown>, string, RegExp]> = [
		[native.createModel({...small, layers: 0}, 'cpu', 'float32', {seed: 1}), 'ERR_CONFIG', /layers/],
		[
			native.createModel({...small, mlp: 'relu'} as unknown as NativeModelConfig, 'cpu', 'float32', {seed: 1}),
			'ERR_CONFIG',
			/config\.mlp/,
		],
		[
			native.createModel({...small, norm: null} as unknown as NativeModelConfig, 'cpu', 'float32', {seed: 1}),
			'ERR_CONFIG',
			/config\.norm /,
		],
		[native.createModel(small, 'cpu', 'float32', {seed: -1}), 'ERR_CONFIG', /source\.seed/],
		[native.createModel(small, 'cpu', 'float32', {path: '/no/such/file'}), 'ERR_CHECKPOINT', /no\/such\/file/],
		[native.createModel(small, 'cpu', 'float32', {path: 'a\0b'}), 'ERR_CONFIG', /source\.path/],
		[native.createModel(huge, 'cpu', 'float32', {seed: 1}), 'ERR_OUT_OF_MEMORY', /\d+ bytes/],
		[native.createModel(small, 'cuda:99', 'float32', {seed: 1}), 'ERR_DEVICE', /^cuda:99 cannot be used: ./],
		[
			native.createModel(small, 'tpu', 'float32', {seed: 1}),
			'ERR_CONFIG',
			/device must be 'cpu' or 'cuda:N', got 'tpu'/,
		],
		[native.createTrainer({} as NativeModel, training), 'ERR_CONFIG', /^model must be a model/],
		[native.createTrainer(dataset as unknown as NativeModel, training), 'ERR_CONFIG', /^model must be a model/],
		[native.createTrainer(model, {...training, batchSize: 0}), 'ERR_CONFIG', /batchSize/],
		[native.createSampler(model, sampling, {} as []), 'ERR_CONFIG', /^requests must be an array, got an object$/],
		[native.createSampler(model, sampling, [request, {...request, seed: 0.5}]), 'ERR_CONFIG', /^requests\[1\]\.seed/],
		[model.parameter('no.such'), 'ERR_CONFIG', /no\.such/],
		[model.save('/no/such/folder/model.safetensors'), 'ERR_CHECKPOINT', /no\/such\/folder/],
	];
	for (const [promise, code, message] of others) {
		const error = await failure(t, promise);
		t.is(error.code, code);
		t.regex(error.message, message);
	}

	const odd = path.join(makeFolder(t), 'odd.bin');
	writeFileSync(odd, 'abc');
	t.is((t.throws(() => native.openDataset(odd, 2)) as Failure).code, 'ERR_DATA');
	t.is((t.throws(() => native.openDataset(odd, 3 as 2)) as Failure).code, 'ERR_CONFIG');
	const makeModel = model.constructor as unknown as new () => NativeModel;
	t.throws(() => new makeModel(), {instanceOf: TypeError, code: 'ERR_CONFIG'});
	t.throws(() => Reflect.apply(model.parameters, dataset, []), {instanceOf: TypeError});
});

test.serial('works on copies of its arguments', async t => {
	const model = await createModel(t);
	const tokens = new Int32Array(16);
	const expected = await model.forward({...batch, tokens});
	const promise = model.forward({...batch, tokens});
	tokens.fill(-1);
	t.deepEqual((await promise).logits, expected.logits);
});
