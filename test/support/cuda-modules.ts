// CUDA modules for tests, made by the host compiler: the one with fake devices, and what is wrong with a module.
import {execFile} from 'node:child_process';
import {readFile, rm, truncate, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {promisify} from 'node:util';
import {packageRoot} from './cli.js';

const modules = path.join(packageRoot, 'test', 'native', 'modules');
const native = path.join(packageRoot, 'native');

async function compile(sources: readonly string[], output: string, more: readonly string[] = []): Promise<string> {
	const flags = ['-std=c++20', '-O0', '-shared', '-fPIC', `-I${native}`];
	await promisify(execFile)(process.env.CXX || 'g++', [...flags, ...sources, '-o', output, ...more]);
	return output;
}

/** The id that a module must have to be of this build. */
export async function buildId(): Promise<string> {
	const text = await readFile(path.join(packageRoot, 'build', 'Release', 'build-info.json'), 'utf8');
	return (JSON.parse(text) as {readonly buildId: string}).buildId;
}

/** See test/native/modules/fake_devices.cpp. */
export async function compileFakeDevices(folder: string): Promise<string> {
	return compile([path.join(modules, 'fake_devices.cpp')], path.join(folder, 'fake-devices.so'));
}

export async function compileOtherBuild(folder: string): Promise<string> {
	return compile([path.join(modules, 'other_build.cpp')], path.join(folder, 'other-build.so'));
}

/** A module that is linked to a cuBLAS which has been removed since. */
export async function compileWithoutCublas(folder: string): Promise<string> {
	const source = path.join(folder, 'cublas.cpp');
	await writeFile(source, 'extern "C" int cublasLtCreate() { return 0; }\n');
	const cublas = await compile([source], path.join(folder, 'libcublasLt.so.13'), ['-Wl,-soname,libcublasLt.so.13']);
	const linked = path.join(folder, 'no-cublas.so');
	await compile([path.join(modules, 'lacks_library.cpp')], linked, [cublas, `-Wl,-rpath,${folder}`]);
	await rm(cublas);
	return linked;
}

/** A module of which only the beginning is there. */
export async function truncatedModule(folder: string): Promise<string> {
	const file = await compile([path.join(modules, 'other_build.cpp')], path.join(folder, 'truncated.so'));
	await truncate(file, 1000);
	return file;
}
