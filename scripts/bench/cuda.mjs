// What benchmarks on a GPU share: the module that their programs open, and what a report says of the GPU.
import path from 'node:path';
import {modulePath, readBuildInfo} from '../build.mjs';
import {root} from '../files.mjs';
import {describeDevice} from '../gpu-check/device.mjs';
import {buildProgram} from './native-program.mjs';

const env = {DLLM_CUDA_MODULE: process.env.DLLM_CUDA_MODULE ?? modulePath};

/** A native program for a device, and the environment that it needs: on the CPU the number of threads, on a GPU its module. */
export function buildFor(device, name, threads) {
	if (device === 'cpu') return {program: buildProgram(name), env: {DLLM_THREADS: threads}};
	return {program: buildProgram(name, {buildId: readBuildInfo().buildId}), env};
}

/** For a report: name, memory and driver of cuda:0; nothing for the CPU, which every report names. */
export async function describeGpu(device) {
	if (device === 'cpu') return {};
	const cli = path.join(root, 'dist', 'lib', 'cli', 'main.js');
	const {device: gpu, deviceProblem, nvidiaSmi} = await describeDevice({dryRun: false, built: {cli, env}});
	if (deviceProblem !== undefined) throw new Error(deviceProblem);
	return {gpu, nvidiaSmi: nvidiaSmi ?? null};
}
