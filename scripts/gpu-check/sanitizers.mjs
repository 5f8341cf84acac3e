// NVIDIA's compute-sanitizer on a few cases of every op, for our own kernels only.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {Failure, run, Skip} from './run.mjs';

export const sanitizers = ['memcheck', 'racecheck', 'initcheck', 'synccheck'];

const ERROR_CODE = 99;

/** Of the toolkit: {command, filter}. */
async function findSanitizer() {
	const {CUDA_HOME, CUDA_PATH} = process.env;
	const folders = [CUDA_HOME, CUDA_PATH, '/usr/local/cuda'].filter(Boolean).map(folder => path.join(folder, 'bin'));
	const files = folders.map(folder => path.join(folder, 'compute-sanitizer')).filter(file => existsSync(file));
	for (const command of ['compute-sanitizer', ...files]) {
		try {
			const {stdout} = await run(command, ['--help']);
			const byName = /--kernel-name\b/.test(stdout);
			return {command, filter: byName ? ['--kernel-name', 'kernel_substring=dllm'] : ['--kernel-regex', 'kns=dllm']};
		} catch {
			// not there: the next one
		}
	}

	throw new Skip('there is no compute-sanitizer (it is a part of the CUDA toolkit)');
}

export async function checkSanitizer({built, dryRun}, tool) {
	if (dryRun) throw new Skip('compute-sanitizer needs a GPU');
	const {command, filter} = await findSanitizer();
	const options = ['--tool', tool, '--error-exitcode', String(ERROR_CODE), '--print-limit', '20', ...filter];
	// Timed candidates are cuBLAS's and only take time here.
	const env = {...built.env, DLLM_CUDA_TUNE: 'off'};
	const {code, signal, stdout, stderr} = await run(command, [...options, built.tests, 'gpu_few_ops'], {
		env,
		minutes: 4,
	});
	const output = `${stdout}\n${stderr}`;
	const figures = {found: /ERROR SUMMARY: .*|RACECHECK SUMMARY: .*/.exec(output)?.[0], filter: filter.join(' ')};
	const passed = Number(/^(\d+) passed, 0 failed$/m.exec(output)?.[1] ?? 0);
	if (code !== 0 || passed === 0) {
		const lines = output.split('\n').filter(line => line.trim() !== '');
		const shown = [...lines.slice(0, 40), ...lines.slice(-10)].join('\n');
		throw new Failure(`${figures.found ?? signal ?? `exit code ${code}`}\n${shown}`, figures);
	}

	return figures;
}
