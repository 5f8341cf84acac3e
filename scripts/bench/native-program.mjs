// Builds one of the native benchmark programs and returns its path. DLLM_BENCH_PROGRAMS names a folder where all of them are built.
import path from 'node:path';
import {generatorArguments, jobs, prepareTree, requireTools, runTool} from '../cmake.mjs';
import {root} from '../files.mjs';

/**
 * @param name As CMakeLists.txt names it: `dllm_kernels`, `dllm_products`, `dllm_sampling` or `dllm_decode`.
 * @param buildId The build whose CUDA module the program may open.
 */
export function buildProgram(name, {buildId = 'development'} = {}) {
	const folder = process.env.DLLM_BENCH_PROGRAMS;
	if (folder !== undefined) return path.join(folder, name);
	requireTools();
	const options = ['-DDLLM_BENCH=ON', '-DDLLM_ADDON=OFF', '-DDLLM_CUDA=off'];
	const tree = prepareTree('bench', options);
	const configure = [
		'-S',
		root,
		'-B',
		tree,
		...generatorArguments(),
		...options,
		`-DDLLM_BUILD_ID=${buildId}`,
		'--log-level=WARNING',
	];
	runTool('Configuring the benchmark', 'cmake', configure);
	runTool('Compiling the benchmark', 'cmake', ['--build', tree, '--target', name, '--parallel', String(jobs)]);
	return path.join(tree, name);
}
