// The native addon as lib/ sees it: argument checks, promises and their codes, disposal, threads and memory.
import {type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {loadNative} from '../lib/native.js';
import type {
	NativeBatch,
	NativeModel,
	NativeModelConfig,
	NativeModule,
	NativeSampler,
	NativeTrainConfig,
	NativeTrainer,
} from '../lib/native-types.js';

const native = loadNative();
const MASK = 59;
const norm = {kind: 'rms', eps: 1e-5, bias: false} as const;

const small: NativeModelConfig = {
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
	init: 'normal',
	initStd: 0.02,
};

// One training step takes long enough to act while it runs.
const large: NativeModelConfig = {...small, layers: 4, heads: 4, kvHeads: 4, width: 256, mlpWidth: 1024, contextLength: 256};

const training: NativeTrainConfig = {
	batchSize: 4,
	contextLength: 32,
	seed: 1,
	objective: {kind: 'masked', minTime: 1e-3, randomLengthFraction: 0.01},
	optimizer: {beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradientClip: 1},
	learningRate: {schedule: 'cosine', peak: 1e-3, minimum: 1e-4, warmupSteps: 2, steps: 100},
	evalBatches: 2,
};
const slowTraining: NativeTrainConfig = {...training, batchSize: 8, contextLength: 256};

const sampling = {steps: 32, blockLength: 32, temperature: 0, remasking: 'low_confidence'} as const;
const request = {tokens: new Int32Array(34).fill(MASK).fill(1, 0, 2), promptLength: 2, seed: 0, index: 0};
const longSampling = {...sampling, steps: 224, blockLength: 224};
const longRequest = {...request, tokens: new Int32Array(226).fill(MASK).fill(1, 0, 2)};

const dataset = native.datasetFromTokens(Int32Array.from({length: 5000}, (_, index) => (index * 7) % MASK));
const batch: NativeBatch = {
	batch: 2,
	length: 8,
	tokens: new Int32Array(16),
	targets: new Int32Array(16).fill(3),
	lossWeights: new Float32Array(16).fill(1 / 16),
	attention: {kind: 'full'},
	positions: null,
	lengths: null,
};

async function createModel(t: ExecutionContext, config = small): Promise<NativeModel> {
	const model = await native.createModel(config, 'cpu', {seed: 1});
	t.teardown(async () => {
		model.dispose();
		await model.disposed();
	});
	return model;
}

type Failure = Error & {readonly code: string};

/** How a promise that must reject does it. */
async function failure(t: ExecutionContext, promise: Promise<unknown>): Promise<Failure> {
	return t.throwsAsync(promise) as Promise<Failure>;
}

/** 'done', or the code of the rejection. */
async function outcome(promise: Promise<unknown>): Promise<string> {
	return promise.then(
		() => 'done',
		(error: Failure) => error.code,
	);
}

function makeFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(path.join(tmpdir(), 'dllm-bindings-'));
	t.teardown(() => rmSync(folder, {recursive: true}));
	return folder;
}

// Code of its own thread or process: `native` and what follows is in scope.
const loader = JSON.stringify(new URL('../lib/native.js', import.meta.url).href);
const prelude = `
	const {loadNative} = await import(${loader});
	const native = loadNative();
	const {large, small, slowTraining, MASK} = ${JSON.stringify({large, small, slowTraining, MASK})};
	const dataset = native.datasetFromTokens(new Int32Array(5000));
`;

function runProcess(code: string, ...flags: string[]): SpawnSyncReturns<string> {
	const args = [...flags, '--input-type=module', '--eval', code];
	return spawnSync(process.execPath, args, {encoding: 'utf8', timeout: 120_000});
}

/** A worker that posts a message when `code` calls `ready()`; resolves then. */
async function startWorker(code: string): Promise<Worker> {
	const source = `const {parentPort} = require('node:worker_threads');
		const ready = () => parentPort.postMessage('ready');
		(async () => {${prelude}${code}})();`;
	const worker = new Worker(source, {eval: true});
	await new Promise((resolve, reject) => {
		worker.once('message', resolve);
		worker.once('error', reject);
		worker.once('exit', status => reject(new Error(`the worker exited with ${status} before it was ready`)));
	});
	return worker;
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
		evaluate: true,
		save: true,
		load: true,
		dispose: true,
	};
	const ofSampler: Record<keyof NativeSampler, true> = {done: true, step: true, run: true, abort: true, dispose: true};
	t.deepEqual(members(model), expected(ofModel));
	t.deepEqual(members(await native.createTrainer(model, training)), expected(ofTrainer));
	t.deepEqual(members(await native.createSampler(model, sampling, [request])), expected(ofSampler));
	t.deepEqual(members(dataset), expected({size: true}));
});

test.serial('lists the CPU with its path and threads, and says why there is no CUDA', t => {
	const [cpu, cuda] = native.listDevices();
	t.true(cpu?.usable);
	t.true(typeof cpu?.details['path'] === 'string' && Number(cpu.details['threads']) >= 1);
	t.true(Number(cpu?.memory) > 2 ** 20);
	t.false(cuda?.usable);
	t.regex(String(cuda?.reason), /no CUDA backend/);
});

test.serial('computes: shapes, gradients, steps, samples and files', async t => {
	const model = await createModel(t);
	const parameters = model.parameters();
	const size = ({shape}: {readonly shape: readonly number[]}) => shape.reduce((a, b) => a * b, 1);
	t.is(parameters.map(size).reduce((a, b) => a + b), model.parameterCount);
	t.is((await model.parameter(parameters[0]!.name)).length, size(parameters[0]!));

	const {logits, shape} = await model.forward(batch);
	t.deepEqual(shape, [2, 8, 60]);
	t.is(logits.length, 2 * 8 * 60);
	t.is(logits.buffer.byteLength, logits.byteLength);
	const noisy = await model.forward({...batch, attention: {kind: 'block_diffusion', blockLength: 2}});
	t.deepEqual(noisy.shape, [2, 4, 60]);
	const {loss, gradients} = await model.lossAndGradients(batch);
	t.true(loss > 0 && Number.isFinite(loss));
	t.deepEqual(gradients.map(({length}) => length), parameters.map(size));

	const trainer = await native.createTrainer(model, training);
	t.is((await trainer.step(dataset)).step, 1);
	t.is((await trainer.stepBatch(batch)).tokens, 16);
	t.is(trainer.completedSteps, 2);
	t.true((await trainer.evaluate(dataset)).nll > 0);

	const sampler = await native.createSampler(model, sampling, [request, request]);
	const frames = await sampler.step();
	t.deepEqual(frames.map(({step, positions}) => [step, positions.length]), [[1, 1], [1, 1]]);
	t.false(sampler.done);
	const samples = await sampler.run();
	t.true(sampler.done);
	t.is(samples[0]!.forwardPasses, 32);
	t.false(samples[0]!.tokens.includes(MASK));
	t.deepEqual(samples[0], samples[1]);

	const folder = makeFolder(t);
	await model.save(path.join(folder, 'model.safetensors'));
	await trainer.save(path.join(folder, 'trainer.safetensors'));
	const copy = await native.createModel(small, 'cpu', {path: path.join(folder, 'model.safetensors')});
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
		[attention({kind: 'explicit', mask: new Int8Array(64)}), /^batch\.attention\.mask must be a Uint8Array, got an Int8/],
	];
	for (const [value, message] of batches) {
		const error = await failure(t, model.forward(value as NativeBatch));
		t.is(error.code, 'ERR_CONFIG');
		t.regex(error.message, message);
	}

	t.true((await failure(t, model.forward({...batch, tokens: null} as unknown as NativeBatch))) instanceof TypeError);
	const thrown = await failure(t, model.forward({get batch() { throw new RangeError('mine'); }} as unknown as NativeBatch));
	t.is(thrown.message, 'mine');

	const others: Array<[Promise<unknown>, string, RegExp]> = [
		[native.createModel({...small, layers: 0}, 'cpu', {seed: 1}), 'ERR_CONFIG', /layers/],
		[native.createModel({...small, mlp: 'relu'} as unknown as NativeModelConfig, 'cpu', {seed: 1}), 'ERR_CONFIG', /config\.mlp/],
		[native.createModel({...small, norm: null} as unknown as NativeModelConfig, 'cpu', {seed: 1}), 'ERR_CONFIG', /config\.norm /],
		[native.createModel(small, 'cpu', {seed: -1}), 'ERR_CONFIG', /source\.seed/],
		[native.createModel(small, 'cpu', {path: '/no/such/file'}), 'ERR_CHECKPOINT', /no\/such\/file/],
		[native.createModel(small, 'cpu', {path: 'a\0b'}), 'ERR_CONFIG', /source\.path/],
		[native.createModel(small, 'cuda:0', {seed: 1}), 'ERR_DEVICE', /this build has no CUDA backend/],
		[native.createModel(small, 'tpu', {seed: 1}), 'ERR_CONFIG', /device must be 'cpu' or 'cuda:N', got 'tpu'/],
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

test.serial('settles every promise when the model is disposed at work', async t => {
	const model = await createModel(t, large);
	const trainer = await native.createTrainer(model, slowTraining);
	const steps = Array.from({length: 20}, () => outcome(trainer.step(dataset)));
	const created = outcome(native.createSampler(model, sampling, [request]));
	await delay(5);
	const start = performance.now();
	model.dispose();
	model.dispose();
	t.true(performance.now() - start < 50);

	const outcomes = await Promise.all(steps);
	t.is(outcomes.at(-1), 'ERR_DISPOSED');
	t.true(outcomes.every(code => code === 'done' || code === 'ERR_DISPOSED'));
	t.is(trainer.completedSteps, outcomes.filter(code => code === 'done').length);
	t.is(await created, 'ERR_DISPOSED');
	await model.disposed();
	await model.disposed();
});

test.serial('rejects what is called after disposal', async t => {
	const model = await createModel(t);
	const trainer = await native.createTrainer(model, training);
	const sampler = await native.createSampler(model, sampling, [request]);
	const other = await native.createTrainer(model, training);
	const waiting = other.step(dataset);
	other.dispose();
	other.dispose();
	t.true(['done', 'ERR_DISPOSED'].includes(await outcome(waiting)));
	t.regex((await failure(t, other.step(dataset))).message, /the trainer is disposed/);
	t.is(await outcome(trainer.step(dataset)), 'done');

	model.dispose();
	const calls: Array<() => Promise<unknown>> = [
		() => model.forward(batch),
		() => model.lossAndGradients(batch),
		() => model.parameter('x'),
		() => model.save('x'),
		() => trainer.step(dataset),
		() => trainer.stepBatch(batch),
		() => trainer.evaluate(dataset),
		() => trainer.save('x'),
		() => trainer.load('x'),
		() => sampler.step(),
		() => sampler.run(),
		() => native.createTrainer(model, training),
		() => native.createSampler(model, sampling, [request]),
	];
	for (const call of calls) t.is(await outcome(call()), 'ERR_DISPOSED');
	t.throws(() => model.parameters(), {code: 'ERR_DISPOSED'});
	trainer.dispose();
	sampler.abort();
	sampler.dispose();
	t.is(trainer.completedSteps, 1);
});

test.serial('ends a sampling run early', async t => {
	const model = await createModel(t, large);
	const aborted = await native.createSampler(model, longSampling, [longRequest]);
	const run = outcome(aborted.run());
	const behind = outcome(model.forward(batch));
	await delay(5);
	aborted.abort();
	t.is(await run, 'ERR_ABORTED');
	t.is(await behind, 'done');

	const disposed = await native.createSampler(model, longSampling, [longRequest]);
	const second = outcome(disposed.run());
	await delay(5);
	disposed.dispose();
	t.is(await second, 'ERR_DISPOSED');

	const third = outcome((await native.createSampler(model, longSampling, [longRequest])).run());
	await delay(5);
	model.dispose();
	t.is(await third, 'ERR_DISPOSED');
});

test.serial('keeps the event loop free while a step runs', async t => {
	const trainer = await native.createTrainer(await createModel(t, large), slowTraining);
	let ticks = 0;
	const timer = setInterval(() => ticks++, 1);
	await trainer.step(dataset);
	clearInterval(timer);
	t.true(ticks >= 5, `${ticks} timer ticks`);
});

test.serial('frees its memory when disposed', async t => {
	const before = native.allocatedBytes();
	const model = await createModel(t, large);
	const weights = native.allocatedBytes() - before;
	t.true(weights >= 4 * model.parameterCount);

	const trainer = await native.createTrainer(model, slowTraining);
	await native.createSampler(model, sampling, [request]);
	await trainer.step(dataset);
	const whole = native.allocatedBytes();
	trainer.dispose();
	await model.parameter(model.parameters()[0]!.name);
	t.true(native.allocatedBytes() < whole - 12 * model.parameterCount);
	model.dispose();
	await model.disposed();
	t.is(native.allocatedBytes(), before);

	await t.throwsAsync(native.createModel({...small, layers: 0}, 'cpu', {seed: 1}));
	t.is(native.allocatedBytes(), before);
});

test.serial('frees what is garbage-collected without disposal', t => {
	const {status, stderr} = runProcess(
		`${prelude}async function use() {
			const model = await native.createModel(small, 'cpu', {seed: 1});
			const {batchSize, contextLength, ...rest} = slowTraining;
			const trainer = await native.createTrainer(model, {...rest, batchSize: 2, contextLength: 16});
			await trainer.step(dataset); // the trainer alone keeps the model
			return model.disposed();
		}
		let freed = 0;
		for (let i = 0; i < 5; i++) use().then(() => freed++);
		while (freed < 5) {
			await new Promise(resolve => setTimeout(resolve, 10));
			gc();
		}
		process.exitCode = native.allocatedBytes();`,
		'--expose-gc',
	);
	t.is(status, 0, stderr);
});

test.serial('lets the garbage collector know how much memory a model holds', t => {
	const {status, stdout, stderr} = runProcess(`${prelude}
		let most = 0;
		for (let i = 0; i < 25; i++) {
			const {parameterCount} = await native.createModel(large, 'cpu', {seed: 1});
			most = Math.max(most, native.allocatedBytes() / (4 * parameterCount));
		}
		console.log(most);`);
	t.is(status, 0, stderr);
	t.true(Number(stdout) < 18, `${stdout} of 25 undisposed models were in memory at once`);
});

test.serial('lets the process end with an idle model, and keeps it alive for a promise', t => {
	const idle = runProcess(`${prelude}globalThis.model = await native.createModel(small, 'cpu', {seed: 1});
		globalThis.never = model.disposed();`);
	t.is(idle.status, 0, idle.stderr);
	const busy = runProcess(`${prelude}const model = await native.createModel(large, 'cpu', {seed: 1});
		native.createTrainer(model, slowTraining).then(trainer => trainer.step(dataset)).then(() => console.log('stepped'));`);
	t.is(busy.stdout, 'stepped\n', busy.stderr);
	t.is(busy.status, 0, busy.stderr);
});

test.serial('survives process.exit() in the middle of a step', t => {
	const {status, stderr} = runProcess(`${prelude}const model = await native.createModel(large, 'cpu', {seed: 1});
		const trainer = await native.createTrainer(model, slowTraining);
		for (let i = 0; i < 3; i++) trainer.step(dataset);
		setTimeout(() => process.exit(7), 5);`);
	t.is(status, 7, stderr);
});

test.serial('runs in worker threads and survives their termination in the middle of a step', async t => {
	const before = native.allocatedBytes();
	const model = await createModel(t);
	for (let i = 0; i < 3; i++) {
		const worker = await startWorker(`
			const model = await native.createModel(large, 'cpu', {seed: 1});
			const trainer = await native.createTrainer(model, slowTraining);
			for (;;) {
				const step = trainer.step(dataset);
				ready();
				await step;
			}`);
		t.true(native.allocatedBytes() > before);
		t.is(await worker.terminate(), 1);
		t.is(await outcome(model.forward(batch)), 'done');
	}

	const leaving = await startWorker(`globalThis.model = await native.createModel(small, 'cpu', {seed: 1}); ready();`);
	await new Promise(resolve => leaving.once('exit', resolve));
	model.dispose();
	await model.disposed();
	t.is(native.allocatedBytes(), before);
});

test.serial('stays loaded when only a worker used it', t => {
	const source = `import(${loader}).then(async ({loadNative}) => {
		const model = await loadNative().createModel(${JSON.stringify(small)}, 'cpu', {seed: 1});
		await model.parameter(model.parameters()[0].name);
	})`;
	const {status, stderr} = runProcess(`
		const {Worker} = await import('node:worker_threads');
		for (let i = 0; i < 2; i++) {
			const worker = new Worker(${JSON.stringify(source)}, {eval: true});
			await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
			await new Promise(resolve => setTimeout(resolve, 100));
		}`);
	t.is(status, 0, stderr);
});
