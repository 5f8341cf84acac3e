// A worker thread of the tests of lifetimes: it trains and answers with the result, or is busy until it is terminated.
import {parentPort, workerData} from 'node:worker_threads';
import {calls, createObjects, Draws} from './lifetime.js';
import {type TrainingResult, train} from './lifetime-training.js';

export type WorkerTask =
	| {readonly kind: 'train'; readonly seed: number}
	| {readonly kind: 'busy'; readonly seed: number; readonly folder: string};

export type WorkerMessage = 'ready' | TrainingResult;

const task = workerData as WorkerTask;
const post = (message: WorkerMessage) => parentPort!.postMessage(message);

if (task.kind === 'train') {
	post(await train(task.seed));
} else {
	const draws = new Draws(task.seed);
	const objects = await createObjects(task.seed);
	// Node ends the whole process when a worker is terminated at the wrong moment of one of its promises of files:
	// `Assertion failed: (req_wrap_async) != nullptr` in node_file.cc. That is not ours to test.
	const busy = calls.filter(({usesFiles}) => !usesFiles);
	post('ready');
	for (;;) {
		const running = Array.from({length: 1 + draws.below(3)}, () => draws.pick(busy).start(objects, task.folder));
		await Promise.all(running);
	}
}
