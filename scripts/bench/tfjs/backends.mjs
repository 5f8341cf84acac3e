// The backends of tfjs: which packages they come from, and how each is started.
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const require = createRequire(import.meta.url);

/** Where the packages are installed. */
export const folder = path.dirname(fileURLToPath(import.meta.url));

// tfjs-layers registers the gradients of the core ops: without a bundler, the core package cannot
const base = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers'];

const backends = {
	cpu: {packages: ['@tensorflow/tfjs-backend-cpu'], describe: () => ({threads: 1})},
	wasm: {
		packages: ['@tensorflow/tfjs-backend-wasm'],
		async describe(tf) {
			const flag = name => tf.env().getAsync(`WASM_HAS_${name}_SUPPORT`);
			const {getThreadsCount} = require('@tensorflow/tfjs-backend-wasm');
			return {threads: (await flag('MULTITHREAD')) ? getThreadsCount() : 1, simd: Boolean(await flag('SIMD'))};
		},
	},
	// libtensorflow; takes its number of threads from the environment
	tensorflow: {
		packages: ['@tensorflow/tfjs-node'],
		describe: () => ({
			threads: Number(process.env.TF_NUM_INTRAOP_THREADS),
			libtensorflow: require('@tensorflow/tfjs-node').version['tensorflow-c'] ?? null,
		}),
	},
	webgpu: {packages: ['@tensorflow/tfjs-backend-webgpu', 'webgpu'], before: provideWebgpu, describe: () => ({})},
};

export const backendNames = Object.keys(backends);

function isInstalled(name) {
	return require.resolve.paths(name).some(modules => existsSync(path.join(modules, name, 'package.json')));
}

/** Packages of a backend that are not installed here or in a project around this one. */
export function missingPackages(backend) {
	return [...base, ...backends[backend].packages].filter(name => !isInstalled(name));
}

/** Makes a backend the current one; returns tfjs and what it says about itself. */
export async function openBackend(name) {
	const {packages, before, describe} = backends[name];
	await before?.();
	const tf = require(base[0]);
	require(base[1]);
	require(packages[0]);
	if (!(await tf.setBackend(name))) throw new Error(`tfjs could not start its ${name} backend`);
	await tf.ready();
	return {tf, facts: {tfjs: tf.version_core, backend: tf.getBackend(), ...(await describe(tf))}};
}

// Node has no WebGPU of its own; the backend looks for it where a web worker has it.
async function provideWebgpu() {
	const {create, globals} = await import('webgpu');
	Object.assign(globalThis, globals);
	globalThis.WorkerGlobalScope ??= class {};
	Object.defineProperty(globalThis, 'navigator', {value: {gpu: create([]), userAgent: 'Node.js'}, configurable: true});
	if (!(await globalThis.navigator.gpu.requestAdapter())) throw new Error('WebGPU has no adapter on this machine');
}
