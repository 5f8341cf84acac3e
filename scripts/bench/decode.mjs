// A forward pass over a block of tokens whose earlier keys and values are cached, for a model of LLaDA-8B's shape with random
// weights: against its floor, the time that its weights take to be read, and as tokens per second. Made of the backend's ops, since
// the model itself keeps no keys and values yet.
import {execFileSync} from 'node:child_process';
import os from 'node:os';
import {chooseOne, count, parseOptions} from './against/options.mjs';
import {writeReport} from './against/report.mjs';
import {buildFor, describeGpu} from './cuda.mjs';
import {spread} from './statistics.mjs';

const models = {
	'llada-8b': {layers: 32, heads: 32, width: 4096, mlpWidth: 12_288, vocabulary: 126_464, cached: 1024, block: 32},
	tiny: {layers: 2, heads: 4, width: 256, mlpWidth: 192, vocabulary: 515, cached: 96, block: 32},
};

function measure({program, env}, {model, device, dtype, commits, rounds}) {
	const args = [device, dtype, ...Object.values(model), commits, rounds];
	const output = execFileSync(program, args.map(String), {encoding: 'utf8', env: {...process.env, ...env}});
	const {path, operations, bytes, recordings, queued, waited, arithmetic, copy, threads} = JSON.parse(output);
	const limits = {arithmetic: Math.max(...arithmetic) * threads, copy: Math.max(...copy)};
	const floor = Math.max(operations / limits.arithmetic, bytes / limits.copy);
	const pass = spread(queued);
	return {
		path,
		threads,
		limits,
		limitRounds: {arithmetic, copy},
		operations,
		bytes,
		recordings,
		floor,
		pass: {...pass, rounds: queued},
		waitedPass: {...spread(waited), rounds: waited},
		fraction: floor / pass.median,
		tokensPerSecond: commits / pass.median,
	};
}

export async function run(args) {
	const values = parseOptions(args, {
		model: {type: 'string', default: 'llada-8b'},
		device: {type: 'string', default: 'cpu'},
		dtype: {type: 'string', default: 'bfloat16'},
		commits: {type: 'string', default: '4'},
		rounds: {type: 'string', default: '20'},
		threads: {type: 'string', default: '1'},
		json: {type: 'boolean', default: false},
		out: {type: 'string'},
	});
	const {device, dtype, threads} = values;
	chooseOne('dtype', dtype, ['float32', 'bfloat16']);
	const model = models[chooseOne('model', values.model, Object.keys(models))];
	const [commits, rounds] = ['commits', 'rounds'].map(name => count(name, values[name]));
	const built = buildFor(device, 'dllm_decode', threads);
	const report = {
		benchmark: 'decode',
		command: ['npm run bench -- decode', ...args].join(' '),
		date: new Date().toISOString(),
		processor: os.cpus()[0].model,
		load: os.loadavg()[0],
		...(await describeGpu(device)),
		dtype,
		model: {name: values.model, ...model},
		commits,
		...measure(built, {model, device, dtype, commits, rounds}),
	};
	if (values.out !== undefined) writeReport(values.out, report);
	console.log(values.json ? JSON.stringify(report) : table(report));
}

/** The report as lines. */
export function table({
	command,
	date,
	path,
	dtype,
	model,
	commits,
	limits,
	floor,
	pass,
	waitedPass,
	fraction,
	tokensPerSecond,
}) {
	const milliseconds = value => (value * 1e3).toFixed(3);
	const range = ({median: middle, lowest, highest}) =>
		`${milliseconds(middle)} (${milliseconds(lowest)}–${milliseconds(highest)}) ms`;
	return [
		`${command}   ${date}`,
		`${path}, ${dtype}; ${model.name}, ${model.block} tokens behind ${model.cached} cached ones`,
		`limits: ${(limits.arithmetic / 1e12).toFixed(1)} TFLOP/s, ${(limits.copy / 1e12).toFixed(3)} TB/s copied; floor ${milliseconds(floor)} ms`,
		`a pass ${range(pass)}, alone ${range(waitedPass)}: ${(fraction * 100).toFixed(1)} % of the floor's rate`,
		`${commits} tokens a pass: ${tokensPerSecond.toFixed(0)} tokens/s`,
	].join('\n');
}
