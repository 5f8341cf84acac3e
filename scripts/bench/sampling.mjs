// Sampling with a model of GPT-2 124M's shape. On the CPU: what predicting, choosing and committing tokens costs beside the forward
// pass. On a GPU: a step, in a run that nobody waits for in between, and with its tokens downloaded after every step.
import {execFileSync} from 'node:child_process';
import os from 'node:os';
import {chooseOne, count, parseOptions} from './against/options.mjs';
import {writeReport} from './against/report.mjs';
import {buildFor, describeGpu} from './cuda.mjs';
import {spread} from './statistics.mjs';

const models = {
	gpt2: {name: 'GPT-2 124M', layers: 12, heads: 12, width: 768, vocabulary: 50258, length: 256},
	tiny: {name: 'tiny', layers: 1, heads: 2, width: 32, vocabulary: 34, length: 16},
};

/** Steps of a canvas: on the CPU, where each takes a second, a few. */
const countSteps = (device, length) => (device === 'cpu' ? 8 : length / 2);

function measure({program, env}, {model, device, dtype, temperature, rounds}) {
	const {layers, heads, width, vocabulary, length} = model;
	const args = [device, dtype, layers, heads, width, vocabulary, length, model.steps, temperature, rounds];
	const output = execFileSync(program, args.map(String), {encoding: 'utf8', env: {...process.env, ...env}});
	const {path, recordings, rounds: found} = JSON.parse(output);
	const of = (name, value) => ({[name]: spread(found.map(value))});
	if (device === 'cpu') {
		return {
			instructionSet: path,
			temperature,
			...of('forward', ({forward}) => forward),
			...of('rest', ({rest}) => rest),
			...of('overhead', ({forward, rest}) => rest / forward),
		};
	}

	return {
		path,
		temperature,
		...of('run', ({run}) => run),
		step: spread(found.flatMap(round => round.steps)),
		recordings,
		rounds: found,
	};
}

export async function run(args) {
	const values = parseOptions(args, {
		model: {type: 'string', default: 'gpt2'},
		device: {type: 'string', default: 'cpu'},
		dtype: {type: 'string', default: 'float32'},
		rounds: {type: 'string', default: '3'},
		threads: {type: 'string', default: '1'},
		json: {type: 'boolean', default: false},
		out: {type: 'string'},
	});
	const {device, dtype, threads} = values;
	chooseOne('dtype', dtype, ['float32', 'bfloat16']);
	chooseOne('model', values.model, Object.keys(models));
	const size = models[values.model];
	const model = {...size, steps: countSteps(device, size.length)};
	const built = buildFor(device, 'dllm_sampling', threads);
	const rounds = count('rounds', values.rounds);
	const runs = [0, 1].map(temperature => measure(built, {model, device, dtype, temperature, rounds}));
	const report = {
		benchmark: 'sampling',
		command: ['npm run bench -- sampling', ...args].join(' '),
		date: new Date().toISOString(),
		processor: os.cpus()[0].model,
		load: os.loadavg()[0],
		...(await describeGpu(device)),
		dtype,
		threads: Number(threads),
		model,
		runs,
	};
	if (values.out !== undefined) writeReport(values.out, report);
	console.log(values.json ? JSON.stringify(report) : table(report));
}

const range = ({median: middle, lowest, highest}, digits) =>
	`${(middle * 1e3).toFixed(digits)} (${(lowest * 1e3).toFixed(digits)}–${(highest * 1e3).toFixed(digits)}) ms`;

function line({temperature, forward, rest, overhead, run: whole, step}) {
	if (whole) {
		return `temperature ${temperature}: a step of a run ${range(whole, 3)}, with its tokens downloaded ${range(step, 3)}`;
	}

	return `temperature ${temperature}: forward ${range(forward, 1)}, everything else ${range(rest, 1)}: ${(overhead.median * 100).toFixed(1)} %`;
}

/** The report as lines. */
export function table({command, date, processor, dtype, threads, model, runs}) {
	const [{instructionSet, path}] = runs;
	return [
		`${command}   ${date}`,
		`${path ? `${path}, ${dtype}` : `${processor}, ${threads} thread(s), ${instructionSet}`}; ${model.name} shape, ${model.length} tokens in ${model.steps} steps`,
		...runs.map(line),
	].join('\n');
}
