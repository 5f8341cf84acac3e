// Every op of a training step: its time, and the fraction of the machine's measured limits that it reaches; the step
// against its floor, the time that its arithmetic and its bytes need at those limits.
import {cpus, loadavg} from 'node:os';
import {parseArgs} from 'node:util';
import {runOrFail} from '../run.mjs';
import {writeReport} from './against/report.mjs';
import {buildFor, describeGpu} from './cuda.mjs';
import {median, spread} from './statistics.mjs';

/** naming, layers, heads, width, context, vocabulary, batch, steps. The vocabulary of `gpt2` is padded to a multiple of 64. */
const shapes = {
	small: ['gpt2', 4, 4, 128, 64, 66, 16, 40],
	nano: ['llama', 4, 4, 128, 64, 66, 32, 20],
	baby: ['gpt2', 6, 6, 384, 256, 66, 12, 4],
	'baby-batch64': ['gpt2', 6, 6, 384, 256, 66, 64, 20],
	'gpt2-batch8': ['gpt2', 12, 12, 768, 1024, 50258, 8, 10],
	gpt2: ['gpt2', 12, 12, 768, 1024, 50304, 64, 10],
	tiny: ['gpt2', 1, 2, 32, 16, 33, 2, 1],
};

/**
 * Runs dllm_kernels and returns its report without what says when and by which command.
 *
 * @param program A built dllm_kernels.
 */
export async function measure(program, {shape, device = 'cpu', dtype = 'float32', env = {}}) {
	const args = [device, dtype, ...shapes[shape].map(String)];
	const output = await runOrFail('dllm_kernels', program, args, {env, minutes: 10});
	return {shape, device, dtype, ...analyse(JSON.parse(output))};
}

/** Adds floors and fractions; all rates are for the threads of the run. A limit is the best of its rounds. */
function analyse({arithmetic, copy, threads, ops, stepSeconds: steps, ...facts}) {
	const limits = {arithmetic: Math.max(...arithmetic) * threads, copy: Math.max(...copy)};
	const stepSeconds = median(steps);
	const rows = ops.map(row => {
		const floor = Math.max(row.operations / limits.arithmetic, row.bytes / limits.copy);
		return {...row, floor, fraction: floor / row.seconds};
	});
	rows.sort((a, b) => b.seconds - a.seconds);
	const floor = rows.reduce((sum, row) => sum + row.floor, 0);
	return {
		...facts,
		threads,
		limits,
		limitRounds: {arithmetic, copy},
		stepSeconds,
		stepSpread: {...spread(steps), rounds: steps},
		floor,
		fraction: floor / stepSeconds,
		ops: rows,
	};
}

const rounds = ({arithmetic, copy}) =>
	`in rounds: ${arithmetic.map(rate => (rate / 1e9).toFixed(0)).join(', ')} GFLOP/s; ${copy.map(rate => (rate / 1e9).toFixed(1)).join(', ')} GB/s`;

/** The report as lines. */
export function table(report) {
	const {
		command,
		date,
		processor,
		shape,
		device,
		dtype,
		path: instructionSet,
		threads,
		limits,
		limitRounds,
		stepSeconds,
		floor,
		fraction,
		ops,
	} = report;
	const lines = ops.map(({op, calls, seconds, operations, bytes, fraction: share}) =>
		[
			op.padEnd(44),
			calls.toFixed(0).padStart(5),
			(seconds * 1e3).toFixed(3).padStart(9),
			`${((seconds / stepSeconds) * 100).toFixed(1)}%`.padStart(7),
			(operations / seconds / 1e9).toFixed(1).padStart(9),
			(bytes / seconds / 1e9).toFixed(1).padStart(7),
			share.toFixed(2).padStart(9),
		].join(''),
	);
	const onGpu = device?.startsWith('cuda:');
	const arithmetic = onGpu ? 'in a large product' : 'in registers';
	return [
		`${command}   ${date}`,
		processor,
		'',
		`${shape}: ${(stepSeconds * 1e3).toFixed(2)} ms per step on ${threads} thread(s), ${instructionSet}${onGpu ? `, ${dtype}` : ''}; floor ${(floor * 1e3).toFixed(2)} ms, reached ${(fraction * 100).toFixed(0)} %`,
		`limits: ${(limits.arithmetic / 1e9).toFixed(0)} GFLOP/s ${arithmetic}, ${(limits.copy / 1e9).toFixed(1)} GB/s copied`,
		...(onGpu ? [rounds(limitRounds)] : []),
		`${'op'.padEnd(44)}calls       ms   share  GFLOP/s   GB/s fraction`,
		...lines,
	].join('\n');
}

export async function run(args) {
	const {values} = parseArgs({
		args,
		options: {
			shape: {type: 'string', default: 'small'},
			device: {type: 'string', default: 'cpu'},
			dtype: {type: 'string', default: 'float32'},
			threads: {type: 'string', default: '1'},
			json: {type: 'boolean', default: false},
			out: {type: 'string'},
		},
	});
	const {shape, device, dtype, threads} = values;
	if (!Object.hasOwn(shapes, shape))
		throw new Error(`--shape is ${shape}; accepted: ${Object.keys(shapes).join(', ')}`);
	const {program, env} = buildFor(device, 'dllm_kernels', threads);
	const report = {
		benchmark: 'kernels',
		command: ['npm run bench -- kernels', ...args].join(' '),
		date: new Date().toISOString(),
		processor: cpus()[0].model,
		load: loadavg()[0],
		...(await describeGpu(device)),
		...(await measure(program, {shape, device, dtype, env})),
	};
	if (values.out !== undefined) writeReport(values.out, report);
	console.log(values.json ? JSON.stringify(report) : table(report));
}
