// What is built for the check: the addon as it is installed, and in a tree of their own the native tests, faults for the
// sanitizers to find and the benchmark of kernels. A dry run has the emulated GPU in the place of the CUDA module.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {build, modulePath, readBuildInfo} from '../build.mjs';
import {generatorArguments, jobs, prepareTree, runTool} from '../cmake.mjs';
import {compile} from '../compile.mjs';
import {root} from '../files.mjs';
import {Failure} from './run.mjs';

/** The folder of the tree, and what it is configured with and makes beside tests and benchmark. */
const kinds = {
	real: {folder: 'gpu-check', cuda: 'on', target: 'dllm_planted_faults'},
	emulated: {folder: 'gpu-check-dry-run', cuda: 'off', target: 'dllm_emulated_module'},
};

const kindOf = dryRun => kinds[dryRun ? 'emulated' : 'real'];

/** Where everything is or will be, and the environment of programs that use it. */
export function findBuilt(dryRun) {
	const tree = path.join(root, '.cmake', kindOf(dryRun).folder);
	return {
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

function buildTree({folder, cuda, target}) {
	const options = ['-DDLLM_ADDON=OFF', `-DDLLM_CUDA=${cuda}`, '-DDLLM_TESTS=ON', '-DDLLM_BENCH=ON'];
	const tree = prepareTree(folder, options);
	const id = `-DDLLM_BUILD_ID=${readBuildInfo().buildId}`; // else the module is refused
	runTool('Configuring the checks', 'cmake', ['-S', root, '-B', tree, ...generatorArguments(), ...options, id]);
	const targets = ['dllm_tests', 'dllm_kernels', target];
	runTool('Compiling the checks', 'cmake', ['--build', tree, '--parallel', String(jobs), '--target', ...targets]);
}

/** Warnings of compilers that our own CI does not have must not keep the other steps from their say: they are no errors here. */
export function buildAll({dryRun, built}) {
	if (!dryRun) process.env.DLLM_CUDA = 'on';
	build({werror: false});
	buildTree(kindOf(dryRun));
	compile();
	const files = [built.tests, built.kernels, built.env.DLLM_CUDA_MODULE, ...(dryRun ? [] : [built.plantedFaults])];
	const missing = files.find(file => !existsSync(file));
	if (missing !== undefined) throw new Failure(`${missing} was not built`);
	const {buildId, compiler, cuda, seconds} = readBuildInfo();
	const installed = {architectures: cuda.architectures.join(' '), secondsOfInstall: seconds};
	return {buildId, compiler, cuda: cuda.reason, ...installed};
}
