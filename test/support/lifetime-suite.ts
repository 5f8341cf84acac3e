// The tests of lifetimes under stress, declared with the figures that a test file asks for.
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {Dataset} from '../../lib/dataset.js';
import {Model} from '../../lib/model.js';
import {Trainer} from '../../lib/trainer.js';
import type {CycleReport} from './lifetime-cycles.js';
import {abortAtWork, disposeAtWork} from './lifetime-disposal.js';
import {terminateAtWork, trainSideBySide} from './lifetime-threads.js';

export type Figures = {
	readonly disposals: number;
	readonly terminations: number;
	readonly aborts: number;
	readonly cycles: number;
};

// What V8 and malloc keep for later hides what is lost: neither compiled code nor freed memory stays.
const steadyHeap = ['--expose-gc', '--no-opt', '--no-sparkplug', '--max-semi-space-size=1'];
const steadyMalloc = {MALLOC_MMAP_THRESHOLD_: '65536'};

const MEGABYTE = 2 ** 20;

export function testLifetimes({disposals, terminations, aborts, cycles}: Figures): void {
	test.serial(`settles every promise when objects are disposed at work, ${disposals} times`, async t => {
		t.timeout(30 * 60_000);
		await disposeAtWork(t, disposals);
	});

	test.serial(`survives ${terminations} worker threads that are terminated at work`, async t => {
		t.timeout(30 * 60_000);
		await terminateAtWork(t, terminations);
	});

	test.serial(`ends with ERR_ABORTED by a signal at any time, ${aborts} times`, async t => {
		t.timeout(30 * 60_000);
		await abortAtWork(t, aborts);
	});

	test.serial('trains three models in three worker threads with the same bits as alone', trainSideBySide);

	test.serial(`frees all memory and ends cleanly after ${cycles} models, trainers and samplers`, t => {
		t.timeout(30 * 60_000);
		const script = fileURLToPath(new URL('./lifetime-cycles.js', import.meta.url));
		const {status, signal, stdout, stderr} = spawnSync(process.execPath, [...steadyHeap, script, `${cycles}`], {
			encoding: 'utf8',
			env: {...process.env, ...steadyMalloc},
		});
		t.is(signal, null);
		t.is(status, 0, stderr);
		t.is(stderr, '');
		const {allocatedBytes, outcomes, residentBytes} = JSON.parse(stdout) as CycleReport;
		t.is(allocatedBytes, 0);
		const codes = ['done', 'ERR_DISPOSED', 'ERR_ABORTED'];
		t.true(
			outcomes.every(outcome => codes.includes(outcome)),
			`${outcomes}`,
		);
		const megabytes = residentBytes.map(bytes => bytes / MEGABYTE);
		t.log(`resident megabytes after each tenth: ${megabytes.map(size => size.toFixed(1)).join(' ')}`);
		const warm = megabytes[2]!;
		t.true(megabytes.at(-1)! - warm < 5, `${megabytes}`);
	});

	test.serial('lets timers fire while a step runs', async t => {
		const model = await Model.create({layers: 4, heads: 4, width: 256, contextLength: 128, vocabSize: 60});
		const trainer = new Trainer(model, {steps: 2, batchSize: 16});
		const data = Dataset.fromTokens(new Int32Array(1000));
		await trainer.step(data); // takes the memory
		let ticks = 0;
		const timer = setInterval(() => ticks++, 1);
		const begin = performance.now();
		await trainer.step(data);
		clearInterval(timer);
		const milliseconds = performance.now() - begin;
		t.log(`${ticks} ticks in ${milliseconds.toFixed(0)} ms`);
		t.true(ticks >= 10, `${ticks} ticks in ${milliseconds} ms`);
		await model[Symbol.asyncDispose]();
	});
}
