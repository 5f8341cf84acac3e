// The test of the CUDA module as nvcc compiles it, on machines with or without a GPU: it compiles without warnings and
// without a kernel that spills registers (but for those that cmake/cuda_module.cmake names), links against cuBLAS, and
// opens. cuBLAS comes from CUBLAS_ROOT, else from its Python wheel, which is kept in .cmake/.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, renameSync, rmSync} from 'node:fs';
import path from 'node:path';
import {isOurCi, modulePath, readBuildInfo} from './build.mjs';
import {generatorArguments, jobs, prepareTree, runTool} from './cmake.mjs';
import {root} from './files.mjs';

const wheels = {12: 'nvidia-cublas-cu12==12.4.5.8', 13: 'nvidia-cublas==13.1.1.3'};

/** What a machine lacks for this test. */
class Missing extends Error {}

/** The major version of the nvcc that cmake/cuda.cmake will find. */
function findNvcc() {
	const {CUDACXX, CUDA_HOME, CUDA_PATH} = process.env;
	const folders = [CUDA_HOME, CUDA_PATH].filter(Boolean).map(folder => path.join(folder, 'bin', 'nvcc'));
	for (const nvcc of [CUDACXX, ...folders, 'nvcc', '/usr/local/cuda/bin/nvcc'].filter(Boolean)) {
		const release = /release (\d+)\./.exec(spawnSync(nvcc, ['--version'], {encoding: 'utf8'}).stdout ?? '');
		if (release) return release[1];
	}

	throw new Missing('there is no nvcc');
}

function runPython(what, args) {
	const {status, error, stderr} = spawnSync('python3', args, {encoding: 'utf8', timeout: 10 * 60_000});
	if (error) throw new Missing(`${what}: ${error.message}`);
	if (status !== 0) throw new Missing(`${what}: ${stderr.trim().split('\n').at(-1)}`);
}

/** The folder that has include/cublasLt.h and lib, from the wheel. */
function fetchCublas(major) {
	const wheel = wheels[major];
	if (!wheel) throw new Missing(`no cuBLAS wheel is known for CUDA ${major}`);
	const folder = path.join(root, '.cmake', wheel.replace('==', '-'));
	if (!existsSync(folder)) {
		const partial = `${folder}.partial`;
		rmSync(partial, {recursive: true, force: true});
		mkdirSync(partial, {recursive: true});
		const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', partial, wheel];
		runPython(`cannot download ${wheel}`, pip);
		const file = path.join(partial, readdirSync(partial)[0]);
		runPython(`cannot unpack ${wheel}`, ['-m', 'zipfile', '-e', file, partial]);
		rmSync(file);
		renameSync(partial, folder);
	}

	return path.join(folder, 'nvidia', major === '12' ? 'cublas' : `cu${major}`);
}

/** Compiles the module of this build for one architecture and returns its path. */
function compileModule(major, architecture) {
	const environment = {CUBLAS_ROOT: process.env.CUBLAS_ROOT || fetchCublas(major), DLLM_CUDA_ARCHS: architecture};
	const options = ['-DDLLM_ADDON=OFF', '-DDLLM_CUDA=on', '-DDLLM_WERROR=ON'];
	const tree = prepareTree(`cuda-module-${architecture}`, [...options, environment]);
	const configure = ['-S', root, '-B', tree, ...generatorArguments(), ...options];
	runTool(
		'Configuring the CUDA module',
		'cmake',
		[...configure, `-DDLLM_BUILD_ID=${readBuildInfo().buildId}`],
		environment,
	);
	const build = ['--build', tree, '--target', 'dllm_cuda', '--parallel', String(jobs)];
	runTool('Compiling the CUDA module', 'cmake', build, environment);
	return path.join(tree, 'libdllm_cuda.so');
}

/** Opens a module as a user's process does. Throws unless its libraries are there and every GPU is usable or has a reason. */
function openModule(file) {
	const {stdout, stderr} = spawnSync(process.execPath, [path.join(root, 'dist/lib/cli/main.js'), 'info', '--json'], {
		encoding: 'utf8',
		env: {...process.env, DLLM_CUDA_MODULE: file},
	});
	const {devices, auto} = JSON.parse(stdout || `{"devices": [], "auto": ${JSON.stringify(stderr)}}`);
	const gpus = devices.filter(({device}) => device !== 'cpu');
	const opened = gpus.length > 0 && gpus.every(({details}) => details.cublas && details.architectures);
	if (!opened) throw new Error(`the CUDA module was not opened: ${JSON.stringify({gpus, auto})}`);
	const usable = gpus.find(gpu => gpu.usable);
	if (auto.device !== (usable?.device ?? 'cpu'))
		throw new Error(`auto is ${JSON.stringify(auto)} beside ${JSON.stringify(gpus)}`);
	return usable ? `${usable.device} is ${usable.name}` : auto.fallbackReason;
}

/** Returns how many checks of the module for one architecture passed, failed and were skipped; throws where one failed. */
export async function testCudaModule(architecture) {
	const start = performance.now();
	const {cuda} = readBuildInfo();
	try {
		// The install of continuous integration has made the same checks while it compiled.
		const isChecked = cuda.enabled && isOurCi() && cuda.architectures.includes(architecture);
		const file = isChecked ? modulePath : compileModule(findNvcc(), architecture);
		const found = openModule(file);
		const seconds = ((performance.now() - start) / 1000).toFixed(0);
		console.log(`CUDA module for ${architecture}, compiled and opened (${found}): 2 passed, 0 failed (${seconds} s)`);
		return {passed: 2, failed: 0, skipped: 0};
	} catch (error) {
		if (!(error instanceof Missing)) throw error;
		console.log(`CUDA module for ${architecture}: SKIPPED, ${error.message} (2 tests)`);
		return {passed: 0, failed: 0, skipped: 2};
	}
}
