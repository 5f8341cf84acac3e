// A process that makes and disposes a model, a trainer and a sampler again and again, some of them at work, and prints
// what is left of them: node --expose-gc lifetime-cycles.js CYCLES

import {rm} from 'node:fs/promises';
import {setTimeout as delay} from 'node:timers/promises';
import {loadNative} from '../../lib/native.js';
import {calls, createObjects, Draws, makeFolder, outcomeOf} from './lifetime.js';

export type CycleReport = {
	readonly allocatedBytes: number;
	readonly outcomes: string[];
	readonly residentBytes: number[];
};

const cycles = Number(process.argv[2]);
const folder = await makeFolder();
const outcomes = new Set<string>();

async function cycle(draws: Draws): Promise<void> {
	const objects = await createObjects(draws.below(1000));
	const running = Array.from({length: draws.below(4)}, () => outcomeOf(draws.pick(calls).start(objects, folder)));
	await draws.pause(5);
	for (const name of ['sampler', 'trainer', 'model'] as const) if (draws.below(2) === 0) objects[name].dispose();
	await objects.model[Symbol.asyncDispose]();
	for (const outcome of await Promise.all(running)) outcomes.add(outcome);
}

async function residentBytes(): Promise<number> {
	for (let i = 0; i < 3; i++) {
		globalThis.gc!();
		await delay(10);
	}

	return process.memoryUsage.rss();
}

const resident: number[] = [];
for (let done = 0; done < cycles; done++) {
	if (done % (cycles / 10) === 0) resident.push(await residentBytes());
	await cycle(new Draws(done));
}

resident.push(await residentBytes());
await rm(folder, {recursive: true, force: true});
const report: CycleReport = {
	allocatedBytes: loadNative().allocatedBytes(),
	outcomes: [...outcomes],
	residentBytes: resident,
};
console.log(JSON.stringify(report));
