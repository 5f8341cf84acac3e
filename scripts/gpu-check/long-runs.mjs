// Runs of many steps through the API, each in a process of its own: resumed ones are bit-equal, and memory does not grow.
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {Failure, runOrFail} from '../run.mjs';

const program = fileURLToPath(new URL('training.mjs', import.meta.url));

const MIB = 2 ** 20;

/** Memory of the process that caches may take in the second half of a run; a leak of 4 KiB a step is 20 MiB. */
const MOST_GROWTH = 12 * MIB;

/** The same of the device, whose driver takes memory in blocks of 2 MiB; a leak of 1 KiB a step is 5 MiB. */
const MOST_DEVICE_GROWTH = 3 * MIB;

async function train(env, task) {
	const args = ['--expose-gc', program, JSON.stringify(task)];
	return JSON.parse(await runOrFail('training', process.execPath, args, {env}));
}

/** Throws unless both have the same files with the same bits. */
function compareFiles(what, expected, found, figures) {
	const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
	if (names.length === 0) throw new Failure(`${what}: there are no files to compare`, figures);
	const different = names.filter(name => expected[name] !== found[name]);
	if (different.length > 0) throw new Failure(`${what}: other bits in ${different.join(', ')}`, figures);
}

/** 2n steps, against n steps and n more in a new process. Each process would time its own products, and choose by that. */
async function checkUntimed({built}, dtype, n, folder) {
	const env = {...built.env, DLLM_CUDA_TUNE: 'off'};
	const [whole, half] = ['whole', 'half'].map(name => path.join(folder, name));
	const config = {steps: 2 * n};
	const expected = await train(env, {dtype, config, folder: whole, stops: [2 * n]});
	await train(env, {dtype, config, folder: half, stops: [n]});
	const found = await train(env, {dtype, from: half, folder: half, stops: [2 * n]});
	const files = found.checkpoints[2 * n];
	const figures = {steps: 2 * n, loss: expected.loss, files, warnings: found.warnings};
	compareFiles('resumed, untimed', expected.checkpoints[2 * n], files, figures);
	return figures;
}

/**
 * A process that saves after n steps and goes on to 2n, against one that resumes from there with the choices that were saved.
 * No step is cut to a random length: a shape that is new after n steps is timed by each.
 */
async function checkTimed({built}, dtype, n, folder) {
	const env = {...built.env, DLLM_CUDA_TUNE: 'on'};
	const config = {steps: 2 * n, objective: {kind: 'masked', randomLengthFraction: 0}};
	const [first, second] = ['first', 'second'].map(name => path.join(folder, name));
	const expected = await train(env, {dtype, config, folder: first, stops: [n, 2 * n]});
	const from = path.join(first, `step-${n}`);
	const found = await train(env, {dtype, from, folder: second, stops: [2 * n]});
	const files = found.checkpoints[2 * n];
	const figures = {steps: 2 * n, loss: expected.loss, files, warnings: found.warnings};
	if (found.warnings.length > 0) throw new Failure(`resumed, timed: ${found.warnings.join('; ')}`, figures);
	compareFiles('resumed, timed', expected.checkpoints[2 * n], files, figures);
	return figures;
}

export async function checkResume(context, dtype) {
	const n = context.dryRun ? 3 : 200;
	const folder = await mkdtemp(path.join(tmpdir(), 'dllm-gpu-check-'));
	try {
		const untimed = await checkUntimed(context, dtype, n, folder);
		const timed = await checkTimed(context, dtype, n, folder);
		return {steps: 2 * n, untimed, timed};
	} finally {
		await rm(folder, {recursive: true, force: true});
	}
}

/** Many small steps in one process: in the second half, no more memory of device and process. */
export async function checkMemory({built, dryRun}) {
	const steps = dryRun ? 100 : 10_000;
	// the emulated device's memory is the process's
	const task = {dtype: 'bfloat16', config: {steps}, watch: steps, driver: !dryRun};
	const {device, resident} = await train(built.env, task);
	const growth = values => values.at(-1) - values[values.length / 2 - 1];
	const figures = {steps, residentGrowth: growth(resident), measured: {device, resident}};
	if (!(figures.residentGrowth <= MOST_GROWTH)) throw new Failure('memory of the process has grown', figures);
	if (dryRun) return figures;
	Object.assign(figures, {deviceMemory: device.at(-1), deviceGrowth: growth(device)});
	if (!(figures.deviceGrowth <= MOST_DEVICE_GROWTH)) throw new Failure('device memory has grown', figures);
	return figures;
}
