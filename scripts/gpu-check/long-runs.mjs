// Runs of many steps through the API, each in a process of its own: resumed ones are bit-equal, and memory does not grow.
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {Failure, runOrFail} from './run.mjs';

const program = fileURLToPath(new URL('training.mjs', import.meta.url));

const MIB = 2 ** 20;

/** Memory of the process that caches may take after the first part of a run; a leak of 4 KiB a step is 36 MiB. */
const MOST_GROWTH = 24 * MIB;

/** The same of the device, whose driver takes memory in blocks of 2 MiB; a leak of 1 KiB a step is 9 MiB. */
const MOST_DEVICE_GROWTH = 4 * MIB;

async function train({built}, ...args) {
	const stdout = await runOrFail(`training ${args.join(' ')}`, process.execPath, [program, ...args.map(String)], {
		env: built.env,
	});
	return JSON.parse(stdout);
}

/** 2n steps, against n steps and n more in a new process. */
export async function checkResume(context, dtype) {
	const n = context.dryRun ? 3 : 200;
	const folder = await mkdtemp(path.join(tmpdir(), 'dllm-gpu-check-'));
	try {
		const [whole, half] = ['whole', 'half'].map(name => path.join(folder, name));
		const expected = await train(context, 'start', dtype, whole, 2 * n, 2 * n);
		await train(context, 'start', dtype, half, 2 * n, n);
		const found = await train(context, 'resume', dtype, half, 2 * n, n);
		const figures = {steps: 2 * n, loss: expected.loss, files: {expected: expected.files, found: found.files}};
		const different = Object.keys(expected.files).filter(name => expected.files[name] !== found.files[name]);
		if (different.length > 0) throw new Failure(`other bits after resuming: ${different.join(', ')}`, figures);
		return figures;
	} finally {
		await rm(folder, {recursive: true, force: true});
	}
}

/** Many small steps in one process: after the first tenth, no more memory of device and process. */
export async function checkMemory(context) {
	const steps = context.dryRun ? 100 : 10_000;
	const {device, resident} = await train(context, 'memory', 'bfloat16', '-', steps, steps);
	const figures = {
		steps,
		deviceMemory: device.length > 0 ? device.at(-1) : 'unknown: there is no nvidia-smi',
		deviceGrowth: device.length > 0 ? device.at(-1) - device[0] : 'unknown',
		residentGrowth: resident.at(-1) - resident[0],
		measured: {device, resident},
	};
	if (device.length > 0 && figures.deviceGrowth > MOST_DEVICE_GROWTH)
		throw new Failure('device memory has grown', figures);
	if (figures.residentGrowth > MOST_GROWTH) throw new Failure('memory of the process has grown', figures);
	return figures;
}
