// dllm-native against PyTorch: training steps of the same model from the same weights on the same batches. The losses must agree
// before anything is timed; the headline is the ratio to PyTorch's fastest mode.
import os from 'node:os';
import {choose, chooseOne, count, parseOptions, UsageError} from './against/options.mjs';
import {describeRun, loadAverage, startProgress, writeReport} from './against/report.mjs';
import {describeGpu} from './cuda.mjs';
import {compareSize, deviceOptions} from './torch/compare.mjs';
import {headline} from './torch/headline.mjs';
import {attentionKernels, chooseModes, listModes} from './torch/modes.mjs';
import {instructionSets, peerEnvironment, readFacts} from './torch/peers.mjs';
import {architectures, describeWork, sizes as knownSizes} from './torch/sizes.mjs';
import {table} from './torch/table.mjs';

const options = {
	sizes: {type: 'string', default: 'small,nano,baby'},
	architecture: {type: 'string'},
	batch: {type: 'string'},
	modes: {type: 'string', default: 'all'},
	parts: {type: 'string', default: 'all'},
	device: {type: 'string', default: 'cpu'},
	dtype: {type: 'string', default: 'float32'},
	sdpa: {type: 'string'},
	threads: {type: 'string'},
	agreement: {type: 'string', default: '50'},
	rounds: {type: 'string', default: '5'},
	steps: {type: 'string', default: '20'},
	seconds: {type: 'string', default: '5'},
	'peer-instructions': {type: 'string'},
	check: {type: 'boolean', default: false},
	json: {type: 'boolean', default: false},
	out: {type: 'string'},
};

/** Products on a GPU are a benchmark of their own. */
const partNames = {cpu: ['timing', 'products', 'memory'], cuda: ['timing', 'memory']};

/** What is done: nothing is timed before the losses have been compared. */
function chooseParts({parts, check, device}) {
	if (check) return ['agreement'];
	const chosen = choose('parts', parts, partNames[device]);
	return chosen.includes('timing') ? ['agreement', ...chosen] : chosen;
}

function parse(args) {
	const values = parseOptions(args, options);
	const {architecture, device, dtype, sdpa, batch} = values;
	chooseOne('device', device, ['cpu', 'cuda']);
	chooseOne('dtype', dtype, ['float32', 'bfloat16']);
	const attention = sdpa === undefined ? [] : choose('sdpa', sdpa, attentionKernels);
	chooseOne('architecture', architecture, Object.keys(architectures));
	const instructions = chooseOne('peer-instructions', values['peer-instructions'], Object.keys(instructionSets));
	if (sdpa && device === 'cpu') throw new UsageError('--sdpa needs --device cuda: the CPU has one kernel');
	if (instructions && device === 'cuda') throw new UsageError('--peer-instructions needs --device cpu');
	const numbers = ['agreement', 'rounds', 'steps', 'seconds'].map(name => [name, count(name, values[name])]);
	return {
		...values,
		...Object.fromEntries(numbers),
		// with a GPU no ratio depends on the host's threads
		threads: count('threads', values.threads ?? String(device === 'cpu' ? 1 : os.availableParallelism())),
		instructions,
		sizes: choose('sizes', values.sizes, Object.keys(knownSizes)),
		batch: batch === undefined ? undefined : count('batch', batch),
		modes: chooseModes(values.modes, listModes({device, attention, instructions})),
		parts: chooseParts(values),
	};
}

/** Makes a small model: whether a device computes in a type is for the library to say. */
async function checkDevice(options) {
	const {DeviceError, Model} = await import('../../dist/lib/index.js');
	const config = {layers: 1, heads: 1, width: 8, contextLength: 8, vocabSize: 8};
	try {
		const model = await Model.create(config, options);
		model.dispose();
	} catch (error) {
		throw error instanceof DeviceError ? new UsageError(error.message) : error;
	}
}

export async function run(args) {
	const {json, out, ...chosen} = parse(args);
	const {threads, device, dtype, instructions, parts} = chosen;
	process.env.DLLM_THREADS = String(threads); // read when the addon loads
	await checkDevice(deviceOptions(chosen));
	const environment = peerEnvironment({device, threads, instructions});
	const torch = readFacts(device, environment);
	const head = {
		...(await describeRun('torch', ['npm run bench -- torch', ...args].join(' '))),
		...(await describeGpu(device)),
	};
	const before = loadAverage();
	const {rounds, steps, seconds} = chosen;
	const peerInstructions = instructions ?? null;
	const describe = sizes => {
		const load = [before, loadAverage()];
		return {...head, threads, dtype, rounds, steps, seconds, load, torch, peerInstructions, sizes};
	};

	// written whenever more is known, so that a run which is stopped leaves what it found
	const save = sizes => {
		if (out !== undefined) writeReport(out, describe(sizes));
	};

	const note = startProgress();
	const sizes = [];
	for (const name of chosen.sizes) {
		const saveSize = known => save([...sizes, {...known, unfinished: true}]);
		const result = await compareSize(describeWork(name, chosen), {...chosen, environment}, note, saveSize);
		sizes.push({...result, ...(parts.includes('timing') && {headline: headline(result.modes, dtype)})});
		save(sizes);
	}

	const report = describe(sizes);
	console.log(json ? JSON.stringify(report) : table(report));
	const hasFailed = sizes.some(({modes = [], memory}) =>
		[...modes, ...(memory?.torch ?? [])].some(({failure}) => failure !== undefined),
	);
	if (hasFailed) process.exitCode = 1;
}

export {table};
