// The native addon's threads and memory: disposal, garbage collection, worker threads, the end of the process.
import {type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {setTimeout as delay} from 'node:timers/promises';
import {Worker} from 'node:worker_threads';
import test from 'ava';
import {
	batch,
	createModel,
	dataset,
	failure,
	large,
	longRequest,
	longSampling,
	MASK,
	native,
	outcome,
	request,
	sampling,
	slowTraining,
	small,
	training,
} from './bindings-support.js';

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

	await t.throwsAsync(native.createModel({...small, layers: 0}, 'cpu', 'float32', {seed: 1}));
	t.is(native.allocatedBytes(), before);
});

test.serial('frees what is garbage-collected without disposal', t => {
	const {status, stderr} = runProcess(
		`${prelude}async function use() {
			const model = await native.createModel(small, 'cpu', 'float32', {seed: 1});
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
			const {parameterCount} = await native.createModel(large, 'cpu', 'float32', {seed: 1});
			most = Math.max(most, native.allocatedBytes() / (4 * parameterCount));
		}
		console.log(most);`);
	t.is(status, 0, stderr);
	t.true(Number(stdout) < 18, `${stdout} of 25 undisposed models were in memory at once`);
});

test.serial('lets the process end with an idle model, and keeps it alive for a promise', t => {
	const idle = runProcess(`${prelude}globalThis.model = await native.createModel(small, 'cpu', 'float32', {seed: 1});
		globalThis.never = model.disposed();`);
	t.is(idle.status, 0, idle.stderr);
	const busy = runProcess(`${prelude}const model = await native.createModel(large, 'cpu', 'float32', {seed: 1});
		native.createTrainer(model, slowTraining).then(trainer => trainer.step(dataset)).then(() => console.log('stepped'));`);
	t.is(busy.stdout, 'stepped\n', busy.stderr);
	t.is(busy.status, 0, busy.stderr);
});

test.serial('survives process.exit() in the middle of a step', t => {
	const {status, stderr} =
		runProcess(`${prelude}const model = await native.createModel(large, 'cpu', 'float32', {seed: 1});
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
			const model = await native.createModel(large, 'cpu', 'float32', {seed: 1});
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

	const leaving = await startWorker(
		`globalThis.model = await native.createModel(small, 'cpu', 'float32', {seed: 1}); ready();`,
	);
	await new Promise(resolve => leaving.once('exit', resolve));
	model.dispose();
	await model.disposed();
	t.is(native.allocatedBytes(), before);
});

test.serial('stays loaded when only a worker used it', t => {
	const source = `import(${loader}).then(async ({loadNative}) => {
		const model = await loadNative().createModel(${JSON.stringify(small)}, 'cpu', 'float32', {seed: 1});
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
