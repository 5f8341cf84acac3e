// Stopped and resumed runs against uninterrupted ones, each in a process of its own.
import {execFile} from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type {ExecutionContext} from 'ava';
import type {DType} from '../../lib/devices.js';
import {temporaryFolder} from './folders.js';
import type {RunResult} from './resume-run.js';

const STEPS = 60;
const program = fileURLToPath(new URL('./resume-run.js', import.meta.url));

async function run(threads: number, args: readonly string[]): Promise<RunResult> {
	const env = {...process.env, DLLM_THREADS: String(threads)};
	const {stdout} = await promisify(execFile)(process.execPath, [program, ...args], {env, maxBuffer: 2 ** 26});
	return JSON.parse(stdout) as RunResult;
}

/** `count` different steps from 1 to STEPS - 1, the same for every call. */
function stops(count: number): number[] {
	const all = Array.from({length: STEPS - 1}, (_, index) => index + 1);
	// a full-cycle linear congruential order: neighbours are not stopped at one after the other
	return Array.from({length: count}, (_, index) => all[(17 * index + 5) % all.length]!);
}

/**
 * A run on each number of threads, and for each `count` runs that begin at a saved step in a new process: losses, weights, moments,
 * average and samples are the same bits everywhere, and samples are the same alone, in a batch, and in a batch the other way round.
 */
export async function checkResume(
	t: ExecutionContext,
	{
		kind,
		dtype = 'float32',
		threads,
		count,
	}: {
		readonly kind: 'masked' | 'next_token';
		readonly dtype?: DType;
		readonly threads: readonly number[];
		readonly count: number;
	},
): Promise<void> {
	let reference: RunResult | undefined;
	for (const limit of threads) {
		const folder = await temporaryFolder(t);
		const whole = await run(limit, [kind, dtype, path.join(folder, 'whole')]);
		reference ??= whole;
		t.deepEqual(whole, reference, `${limit} threads`);
		const third = whole.samples.length / 3;
		t.deepEqual(whole.samples.slice(third, 2 * third), whole.samples.slice(0, third));
		t.deepEqual(whole.samples.slice(2 * third), whole.samples.slice(0, third));

		const lines = [...stops(count)];
		const worker = async () => {
			for (let stop = lines.pop(); stop !== undefined; stop = lines.pop()) {
				const checkpoint = path.join(folder, 'whole', `step-${stop}`);
				const resumed = await run(limit, [kind, dtype, path.join(folder, `from-${stop}`), checkpoint]);
				const expected = Object.entries(whole.losses).filter(([key]) => Number(key.split(' ')[1]) > stop);
				t.deepEqual(resumed.losses, Object.fromEntries(expected), `${kind}, ${limit} threads, from step ${stop}`);
				t.deepEqual(resumed.files, whole.files, `${kind}, ${limit} threads, from step ${stop}`);
				t.deepEqual(resumed.samples, whole.samples);
			}
		};
		await Promise.all([worker(), worker()]);
	}
}
