// What benchmarks on a GPU share: the module that their programs open, and what a report says of the GPU.
import {modulePath, readBuildInfo} from '../build.mjs';
import {queryDriver} from '../nvidia-smi.mjs';
import {buildProgram} from './native-program.mjs';

/** A native program for a device, and the environment that it needs: on the CPU the number of threads, on a GPU its module. */
export function buildFor(device, name, threads) {
	if (device === 'cpu') return {program: buildProgram(name), env: {DLLM_THREADS: threads}};
	const env = {DLLM_CUDA_MODULE: process.env.DLLM_CUDA_MODULE ?? modulePath};
	return {program: buildProgram(name, {buildId: readBuildInfo().buildId}), env};
}

/** For a report: cuda:0 as the library and the driver describe it; nothing for the CPU, which every report names. */
export async function describeGpu(device) {
	if (device === 'cpu') return {};
	const {listDevices} = await import('../../dist/lib/index.js');
	const gpu = (await listDevices()).find(({device: name}) => name === 'cuda:0');
	if (!gpu?.usable) throw new Error(`cuda:0 is not usable: ${gpu?.reason ?? 'it is not listed'}`);
	const {module: _, ...details} = gpu.details; // a path of this machine
	return {gpu: {...gpu, details}, nvidiaSmi: await queryDriver()};
}
