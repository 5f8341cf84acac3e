// What benchmarks on a GPU share: the module that their programs open, and what a report says of the GPU.
import {spawnSync} from 'node:child_process';
import {modulePath, readBuildInfo} from '../build.mjs';
import {buildProgram} from './native-program.mjs';

/** A native program for a device, and the environment that it needs: on the CPU the number of threads, on a GPU its module. */
export function buildFor(device, name, threads) {
	if (device === 'cpu') return {program: buildProgram(name), env: {DLLM_THREADS: threads}};
	const env = {DLLM_CUDA_MODULE: process.env.DLLM_CUDA_MODULE ?? modulePath};
	return {program: buildProgram(name, {buildId: readBuildInfo().buildId}), env};
}

/** What the driver says of GPU 0; null where there is no nvidia-smi. */
export function queryDriver() {
	const fields = ['name', 'driver_version', 'memory.total', 'clocks.max.sm', 'power.limit'];
	const query = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader', '--id=0'];
	const {status, stdout} = spawnSync('nvidia-smi', query, {encoding: 'utf8'});
	if (status !== 0) return null;
	const values = stdout.trim().split(', ');
	return Object.fromEntries(fields.map((field, index) => [field, values[index]]));
}

/** For a report: cuda:0 as the library and the driver describe it; nothing for the CPU, which every report names. */
export async function describeGpu(device) {
	if (device === 'cpu') return {};
	const {listDevices} = await import('../../dist/lib/index.js');
	const gpu = (await listDevices()).find(({device: name}) => name === 'cuda:0');
	if (!gpu?.usable) throw new Error(`cuda:0 is not usable: ${gpu?.reason ?? 'it is not listed'}`);
	const {module: _, ...details} = gpu.details; // a path of this machine
	return {gpu: {...gpu, details}, nvidiaSmi: queryDriver()};
}
