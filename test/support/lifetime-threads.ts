// Worker threads: terminated at work, and training side by side.
import {rm} from 'node:fs/promises';
import {Worker} from 'node:worker_threads';
import type {ExecutionContext} from 'ava';
import {loadNative} from '../../lib/native.js';
import {calls, createObjects, Draws, makeFolder, outcomeOf} from './lifetime.js';
import {type TrainingResult, train} from './lifetime-training.js';
import type {WorkerMessage, WorkerTask} from './lifetime-worker.js';

function startWorker(workerData: WorkerTask): Worker {
	return new Worker(new URL('./lifetime-worker.js', import.meta.url), {workerData});
}

async function firstMessage(worker: Worker): Promise<WorkerMessage> {
	return new Promise((resolve, reject) => {
		worker.once('message', resolve);
		worker.once('error', reject);
		worker.once('exit', code => reject(new Error(`the worker exited with code ${code} before it answered`)));
	});
}

/** Some workers at a time; the main thread's model must go on, and all of their memory be freed. */
export async function terminateAtWork(t: ExecutionContext, count: number): Promise<void> {
	const folder = await makeFolder();
	t.teardown(() => rm(folder, {recursive: true, force: true}));
	const before = loadNative().allocatedBytes();
	const objects = await createObjects(1);
	let started = 0;
	let whileStarting = 0;
	const terminateNext = async (): Promise<void> => {
		while (started < count) {
			const seed = started++;
			const draws = new Draws(seed);
			const worker = startWorker({kind: 'busy', seed, folder});
			const ready = firstMessage(worker);
			ready.catch(() => {}); // reported by the await below, or expected of one that is ended before
			const duringStart = draws.below(8) === 0;
			if (duringStart) whileStarting++;
			else await ready;
			await draws.pause(30);
			const code = await worker.terminate();
			t.true(code === 1 || (duringStart && code === 0), `exit code ${code}`); // 0: it had not begun
			t.is(await outcomeOf(draws.pick(calls).start(objects, folder)), 'done');
		}
	};
	await Promise.all(Array.from({length: 4}, terminateNext));
	t.log(`${count} workers terminated, ${whileStarting} of them while they started`);
	await objects.model[Symbol.asyncDispose]();
	t.is(loadNative().allocatedBytes(), before);
}

export async function trainSideBySide(t: ExecutionContext): Promise<void> {
	const seeds = [1, 2, 3];
	const alone: TrainingResult[] = [];
	for (const seed of seeds) alone.push(await train(seed));
	const workers = seeds.map(seed => startWorker({kind: 'train', seed}));
	const together = await Promise.all(workers.map(firstMessage));
	t.deepEqual(together, alone);
	t.notDeepEqual(alone[0], alone[1]);
}
