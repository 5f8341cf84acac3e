// What is built for the check: the addon with the CUDA module, the native tests and the benchmark of kernels, in one tree.
// A dry run has the emulated GPU in the module's place.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {build, readBuildInfo} from '../build.mjs';
import {compile} from '../compile.mjs';
import {root} from '../files.mjs';
import {Failure} from './run.mjs';

const kinds = {
	real: {folder: 'gpu-check', cuda: 'on', target: 'dllm_cuda', module: 'Release/libdllm_cuda.so'},
	emulated: {
		folder: 'gpu-check-dry-run',
		cuda: 'off',
		target: 'dllm_emulated_module',
		module: 'emulated/module/libdllm_cuda.so',
	},
};

/** Where everything is or will be, and the environment of programs that use it. */
export function findBuilt(dryRun) {
	const {folder, module} = kinds[dryRun ? 'emulated' : 'real'];
	const tree = path.join(root, '.cmake', folder);
	return {
		tests: path.join(tree, 'dllm_tests'),
		kernels: path.join(tree, 'dllm_kernels'),
		cli: path.join(root, 'dist', 'lib', 'cli', 'main.js'),
		env: {
			DLLM_CUDA_MODULE: path.join(tree, module),
			// the emulated GPU's times say nothing
			...(dryRun && {DLLM_CUDA_TUNE: 'off'}),
		},
	};
}

/** Warnings are errors; where there are some, everything is built without that rule, so that the other steps have a say. */
export function buildAll({dryRun, built}) {
	const {folder, cuda, target} = kinds[dryRun ? 'emulated' : 'real'];
	process.env.DLLM_CUDA = cuda;
	const targets = ['dllm_tests', 'dllm_kernels', target];
	const also = {folder, options: ['DLLM_TESTS=ON', 'DLLM_BENCH=ON'], targets};
	let problem;
	try {
		build({werror: true, also});
	} catch (error) {
		problem = error;
		build({werror: false, also});
	}

	compile();
	const missing = [built.tests, built.kernels, built.env.DLLM_CUDA_MODULE].find(file => !existsSync(file));
	if (missing !== undefined) throw new Failure(`${missing} was not built`);
	const {buildId, compiler, cuda: found, seconds} = readBuildInfo();
	const figures = {buildId, compiler, cuda: found.reason, architectures: found.architectures.join(' '), seconds};
	if (problem) throw new Failure(`it builds only where warnings are no errors: ${problem.message}`, figures);
	return figures;
}
