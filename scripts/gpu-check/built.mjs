// What is built for a GPU's checks and benchmarks: the addon as it is installed, and in one tree the native tests, faults for the
// sanitizers to find and the benchmarks' programs. A dry run has the emulated GPU in the place of the CUDA module.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {modulePath, readBuildInfo} from '../build.mjs';
import {root} from '../files.mjs';
import {Failure, runOrFail} from '../run.mjs';

const builder = fileURLToPath(new URL('build.mjs', import.meta.url));

/** The folder of the tree, and whether it has the CUDA module. */
const kinds = {
	real: {folder: 'gpu-check', cuda: 'on'},
	emulated: {folder: 'gpu-check-dry-run', cuda: 'off'},
};

const kindOf = dryRun => kinds[dryRun ? 'emulated' : 'real'];

/** Where everything is or will be, and the environment of programs that use it. */
export function findBuilt(dryRun) {
	const tree = path.join(root, '.cmake', kindOf(dryRun).folder);
	return {
		tree,
		tests: path.join(tree, 'dllm_tests'),
		kernels: path.join(tree, 'dllm_kernels'),
		plantedFaults: path.join(tree, 'dllm_planted_faults'),
		cli: path.join(root, 'dist', 'lib', 'cli', 'main.js'),
		env: {
			DLLM_CUDA_MODULE: dryRun ? path.join(tree, 'emulated', 'module', 'libdllm_cuda.so') : modulePath,
			// the emulated GPU's times say nothing
			...(dryRun && {DLLM_CUDA_TUNE: 'off'}),
		},
	};
}

/** Builds the addon, dist/, these programs of the tree and, for a dry run, the emulated GPU. */
export async function buildPrograms(dryRun, programs) {
	const {folder, cuda} = kindOf(dryRun);
	const targets = [...programs, ...(dryRun ? ['dllm_emulated_module'] : [])];
	const options = {env: dryRun ? {} : {DLLM_CUDA: 'on'}, show: true, minutes: 20};
	await runOrFail('building', process.execPath, [builder, folder, cuda, ...targets], options);
	const {tree, env} = findBuilt(dryRun);
	const files = [...programs.map(name => path.join(tree, name)), env.DLLM_CUDA_MODULE];
	const missing = files.find(file => !existsSync(file));
	if (missing !== undefined) throw new Failure(`${missing} was not built`);
}

/** What the check needs. Returns what was built, for the report. */
export async function buildAll({dryRun}) {
	await buildPrograms(dryRun, ['dllm_tests', 'dllm_kernels', ...(dryRun ? [] : ['dllm_planted_faults'])]);
	const {buildId, compiler, cuda, seconds} = readBuildInfo();
	const installed = {architectures: cuda.architectures.join(' '), secondsOfInstall: seconds};
	return {buildId, compiler, cuda: cuda.reason, ...installed};
}
