// What is built for the check: the addon with the CUDA module, the native tests, faults for the sanitizers to find and the
// benchmark of kernels, in one tree.
// A dry run has the emulated GPU in the module's place.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {build, readBuildInfo} from '../build.mjs';
import {compile} from '../compile.mjs';
import {root} from '../files.mjs';
import {Failure} from './run.mjs';

const kinds = {
	real: {
		folder: 'gpu-check',
		cuda: 'on',
		targets: ['dllm_cuda', 'dllm_planted_faults'],
		module: 'Release/libdllm_cuda.so',
	},
	emulated: {
		folder: 'gpu-check-dry-run',
		cuda: 'off',
		targets: ['dllm_emulated_module'],
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
		plantedFaults: path.join(tree, 'dllm_planted_faults'),
		cli: path.join(root, 'dist', 'lib', 'cli', 'main.js'),
		env: {
			DLLM_CUDA_MODULE: path.join(tree, module),
			// the emulated GPU's times say nothing
			...(dryRun && {DLLM_CUDA_TUNE: 'off'}),
		},
	};
}

/** Warnings of compilers that our own CI does not have must not keep the other steps from their say: they are no errors here. */
export function buildAll({dryRun, built}) {
	const {folder, cuda, targets} = kinds[dryRun ? 'emulated' : 'real'];
	process.env.DLLM_CUDA = cuda;
	const options = ['DLLM_TESTS=ON', 'DLLM_BENCH=ON'];
	build({werror: false, also: {folder, options, targets: ['dllm_tests', 'dllm_kernels', ...targets]}});
	compile();
	const files = [built.tests, built.kernels, built.env.DLLM_CUDA_MODULE, ...(dryRun ? [] : [built.plantedFaults])];
	const missing = files.find(file => !existsSync(file));
	if (missing !== undefined) throw new Failure(`${missing} was not built`);
	const {buildId, compiler, cuda: found, seconds} = readBuildInfo();
	return {buildId, compiler, cuda: found.reason, architectures: found.architectures.join(' '), seconds};
}
