// Objects that are disposed at random times while their calls run and wait, and calls that are aborted.
import {readdir, rm} from 'node:fs/promises';
import type {ExecutionContext} from 'ava';
import {loadNative} from '../../lib/native.js';
import {calls, createObjects, Draws, makeFolder, type Objects, outcomeOf, Tally} from './lifetime.js';

const names = ['model', 'trainer', 'sampler'] as const satisfies readonly (keyof Objects)[];

/** Every call must end as it would, or with ERR_DISPOSED or ERR_ABORTED when something that it needs was disposed. */
export async function disposeAtWork(t: ExecutionContext, count: number): Promise<void> {
	const before = loadNative().allocatedBytes();
	const folder = await makeFolder();
	t.teardown(() => rm(folder, {recursive: true, force: true}));
	const tally = new Tally();
	for (let round = 0; round < count; round++) await disposeOnce(t, new Draws(round), folder, tally);
	t.log(`${count} disposals at work: ${tally}`);
	t.is(tally.settled, tally.started);
	t.true(tally.count('done') > count / 4 && tally.count('ERR_DISPOSED') > count / 4, `${tally}`);
	t.is(loadNative().allocatedBytes(), before);
	const leftOver = (await readdir(folder, {recursive: true})).filter(file => /\.(tmp|old)/.test(file));
	t.deepEqual(leftOver, [], 'temporary files of saves that were ended');
}

async function disposeOnce(t: ExecutionContext, draws: Draws, folder: string, tally: Tally): Promise<void> {
	const objects = await createObjects(draws.below(1000));
	const disposed = new Set<keyof Objects>();
	const running = Array.from({length: 1 + draws.below(5)}, () => {
		const call = draws.pick(calls);
		tally.started++;
		return {call, outcome: outcomeOf(call.start(objects, folder))};
	});
	await draws.pause(25);
	for (let number = 1 + draws.below(3); number > 0; number--) {
		const name = draws.pick(names);
		disposed.add(name);
		objects[name].dispose();
		if (draws.below(3) === 0) await draws.pause(4);
	}

	for (const {call, outcome} of running) {
		const found = await outcome;
		tally.add(call.name, found);
		const wasDisposed = call.needs.some(name => disposed.has(name));
		const accepted = wasDisposed ? ['done', 'ERR_DISPOSED', 'ERR_ABORTED'] : ['done'];
		t.true(accepted.includes(found), `${call.name}, with ${[...disposed]} disposed: ${found}`);
	}

	for (const call of calls) {
		const wasDisposed = call.needs.some(name => disposed.has(name));
		if (wasDisposed) t.is(await outcomeOf(call.start(objects, folder)), 'ERR_DISPOSED', call.name);
	}

	if (!disposed.has('model'))
		t.is(await outcomeOf(calls.find(({name}) => name === 'forward')!.start(objects, folder)), 'done');
	await objects.model[Symbol.asyncDispose]();
}

/** A call must end as it would or with ERR_ABORTED and the signal's reason, and its objects must stay usable. */
export async function abortAtWork(t: ExecutionContext, count: number): Promise<void> {
	const folder = await makeFolder();
	t.teardown(() => rm(folder, {recursive: true, force: true}));
	const objects = await createObjects(1);
	const abortable = calls.filter(call => call.abortable);
	const tally = new Tally();
	for (let round = 0; round < count; round++) {
		const draws = new Draws(round);
		const running = Array.from({length: 1 + draws.below(2)}, () => {
			const call = draws.pick(abortable);
			const controller = new AbortController();
			tally.started++;
			const promise = call.start(objects, folder, controller.signal);
			return {call, controller, promise, outcome: outcomeOf(promise)};
		});
		for (const {call, controller, promise, outcome} of running) {
			await draws.pause(20);
			const reason = new Error(`round ${round}`);
			controller.abort(reason);
			const found = await outcome;
			tally.add(call.name, found);
			t.true(found === 'done' || found === 'ERR_ABORTED', `${call.name}: ${found}`);
			if (found === 'ERR_ABORTED') t.is(await promise.catch((error: Error) => error.cause), reason);
		}
	}

	t.log(`${count} aborts: ${tally}`);
	t.is(tally.settled, tally.started);
	t.true(tally.count('ERR_ABORTED') > count / 4, `${tally}`);
	for (const call of calls) t.is(await outcomeOf(call.start(objects, folder)), 'done', call.name);
	await objects.model[Symbol.asyncDispose]();
}
