// Kills processes while they save a run, and checks what is left of it.
import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readdir} from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Model} from '../../lib/model.js';
import {Trainer} from '../../lib/trainer.js';
import {temporaryFolder} from './folders.js';
import {tinyModel, tinyTokenizer} from './tiny.js';

const program = fileURLToPath(new URL('crash-child.js', import.meta.url));

/** The smallest model there is: what is tested is how it is saved. */
export const smallest = {...tinyModel, layers: 1, width: 8} as const;

/** Mulberry32: uniform in [0, 1), always the same for a seed. */
export function seededRandom(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

export async function hashWeights(model: Model): Promise<string> {
	const hash = createHash('sha256');
	for (const {name} of model.parameters()) hash.update(await model.parameter(name));
	return hash.digest('hex');
}

/** By step, what its weights were, in whichever process. */
type States = Map<number, string>;

/** Runs a process until some time after it has begun to save. Returns the last step that it began to save. */
async function runAndKill(runFolder: string, afterMs: number, states: States): Promise<number> {
	const child = spawn(process.execPath, [program, runFolder], {
		env: {...process.env, DLLM_THREADS: '1'},
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	let last = Number.NaN;
	let isTimed = false;
	for await (const line of readline.createInterface({input: child.stdout})) {
		const [step = '', hash = ''] = line.split(' ');
		last = Number(step);
		if ((states.get(last) ?? hash) !== hash)
			throw new Error(`step ${last} has other weights than in an earlier process`);
		states.set(last, hash);
		if (!isTimed) void setTimeout(afterMs).then(() => child.kill('SIGKILL'));
		isTimed = true;
	}

	if (!isTimed) throw new Error('the process ended before it saved anything');
	return last;
}

/**
 * Kills processes that save one run, each at a random time. After each kill the run must load as one of the last two states
 * that were saved, bit for bit; the next process goes on from there and must compute the same as the one before.
 */
export async function killRepeatedly(t: ExecutionContext, kills: number, seed: number): Promise<void> {
	const runFolder = path.join(await temporaryFolder(t), 'run');
	const random = seededRandom(seed);
	const model = await Model.create(smallest, {tokenizer: tinyTokenizer});
	const states: States = new Map([[0, await hashWeights(model)]]);
	const trainer = new Trainer(model, {steps: 1_000_000, warmupSteps: 0, batchSize: 1, saveKeep: 2, learningRate: 1e-3});
	await trainer.save(runFolder);
	let remains = 0;
	for (let kill = 0; kill < kills; kill++) {
		const afterMs = random() < 0.5 ? 3 + 30 * random() : 3 + 300 * random();
		const last = await runAndKill(runFolder, afterMs, states);
		if ((await readdir(runFolder)).some(name => name.includes('.tmp-') || name.includes('.old-'))) remains++;
		await using resumed = await Trainer.resume(runFolder);
		const {completedSteps} = resumed;
		t.true(completedSteps === last || completedSteps === last - 1, `kill ${kill}: ${completedSteps} of ${last}`);
		t.is(states.get(completedSteps), await hashWeights(resumed.model), `kill ${kill}: step ${completedSteps}`);
		resumed.model.dispose();
	}

	t.log(`${kills} kills, of which ${remains} left something unfinished; ${states.size} states`);
	t.true(remains > kills / 10, 'most kills must meet a save');
	const resumed = await Trainer.resume(runFolder);
	await resumed.save(runFolder);
	const names = (await readdir(runFolder)).filter(name => !/^step-\d+$/.test(name)).sort();
	t.deepEqual(names, ['config.json', 'latest'], 'the next save clears up');
}
