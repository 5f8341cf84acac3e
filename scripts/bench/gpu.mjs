// One command for a machine with a GPU, where time is short: builds, then runs what is measured there, most important first, each as a
// process of its own with a time limit. FOLDER/NAME.json is written as each ends, with the reason where it failed. A dry run has the
// emulated GPU and small sizes.
import {existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {root} from '../files.mjs';
import {buildPrograms, findBuilt} from '../gpu-check/built.mjs';
import {endWithin, minutesLeft, start} from '../run.mjs';
import {choose, parseOptions, UsageError} from './against/options.mjs';
import {writeReport} from './against/report.mjs';

const main = fileURLToPath(new URL('main.mjs', import.meta.url));
const programs = ['dllm_kernels', 'dllm_decode', 'dllm_sampling', 'dllm_products'];
const gpu = ['--device', 'cuda:0', '--dtype', 'bfloat16'];
const torch = ['--device', 'cuda', '--dtype', 'bfloat16', '--agreement', '20'];

/** PyTorch runs on the CPU in a dry run: it has no emulated GPU. */
const tinyTorch = ['--sizes', 'tiny', '--dtype', 'bfloat16', '--agreement', '2', '--rounds', '1', '--steps', '1'];

/** One run for each attention kernel, of which one may not run: ratios are to our own steps beside it. */
const compareGpt2 = kernel => ({
	name: `torch-${kernel}`,
	args: ['torch', '--sizes', 'gpt2', ...torch, '--sdpa', kernel, '--modes', 'compiled-bfloat16', '--rounds', '3'],
	tiny: ['torch', ...tinyTorch, '--modes', 'eager-all-bfloat16', '--parts', 'timing'],
	minutes: 5,
});

/** In the order of their importance. `minutes` is the most that each may take; `tiny` its arguments in a dry run. */
const items = [
	{
		name: 'kernels',
		args: ['kernels', '--shape', 'gpt2', ...gpu],
		tiny: ['kernels', '--shape', 'tiny', ...gpu],
		minutes: 3,
	},
	compareGpt2('flash'),
	compareGpt2('cudnn'),
	{
		name: 'decode',
		args: ['decode', '--model', 'llada-8b', ...gpu],
		tiny: ['decode', '--model', 'tiny', ...gpu, '--rounds', '2'],
		minutes: 2,
	},
	{
		name: 'sampling',
		args: ['sampling', '--model', 'gpt2', ...gpu, '--rounds', '5'],
		tiny: ['sampling', '--model', 'tiny', ...gpu, '--rounds', '1'],
		minutes: 1,
	},
	{
		name: 'memory',
		args: [
			'torch',
			'--sizes',
			'gpt2',
			...torch,
			'--sdpa',
			'flash',
			'--modes',
			'compiled-bfloat16',
			'--parts',
			'memory',
		],
		tiny: ['torch', ...tinyTorch, '--modes', 'eager-all-bfloat16', '--parts', 'memory'],
		minutes: 4,
	},
	{
		name: 'startup',
		args: ['startup', '--size', 'gpt2', ...gpu, '--rounds', '5'],
		tiny: ['startup', '--size', 'tiny', ...gpu, '--rounds', '1'],
		minutes: 2,
	},
	{
		name: 'torch-baby',
		args: [
			'torch',
			'--sizes',
			'baby-batch64,baby',
			...torch,
			'--modes',
			'compiled-masked-bfloat16,cudagraphs-bfloat16',
		],
		tiny: ['torch', ...tinyTorch, '--modes', 'eager-masked-bfloat16', '--parts', 'timing'],
		minutes: 6,
	},
	{
		name: 'products',
		args: ['products', '--sizes', 'gpt2', ...gpu, '--rounds', '3'],
		tiny: ['products', '--sizes', 'tiny', '--libraries', 'torch', '--rounds', '1'],
		minutes: 4,
	},
];

function parse(args) {
	const values = parseOptions(args, {
		out: {type: 'string'},
		only: {type: 'string', default: 'all'},
		minutes: {type: 'string', default: '9.5'},
		'dry-run': {type: 'boolean', default: false},
	});
	const minutes = Number(values.minutes);
	if (values.out === undefined) throw new UsageError('--out is missing: the folder that the reports are written to');
	if (!(minutes > 0)) throw new UsageError(`--minutes is ${values.minutes}; accepted: a number above 0`);
	const names = choose(
		'only',
		values.only,
		items.map(({name}) => name),
	);
	const chosen = items.filter(({name}) => names.includes(name));
	return {chosen, minutes, out: path.resolve(values.out), dryRun: values['dry-run']};
}

/** The report of a benchmark that failed: with what it had already found. */
function reportFailure(file, facts) {
	const found = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
	writeReport(file, {...facts, ...found, failure: facts.failure});
}

export async function run(args) {
	const {chosen, minutes, out, dryRun} = parse(args);
	const begin = performance.now();
	const seconds = () => (performance.now() - begin) / 1000;
	endWithin(minutes);
	mkdirSync(out, {recursive: true});
	await buildPrograms(dryRun, programs);
	const {tree, env: own} = findBuilt(dryRun);
	const env = {...own, DLLM_BENCH_PROGRAMS: tree};
	const lines = [`build: ${seconds().toFixed(0)} s`];
	for (const {name, args: full, tiny, minutes: most} of chosen) {
		const file = path.join(out, `${name}.json`);
		const benchmark = [...(dryRun ? tiny : full), '--out', path.relative(root, file)];
		console.error(`\n== ${name}`);
		rmSync(file, {force: true}); // an earlier run's is no report of this one
		const from = seconds();
		const isLate = minutesLeft() <= 0;
		const run = () => start(process.execPath, [main, ...benchmark], {env, minutes: most}).ended;
		const failure = isLate ? 'there was no time left for it' : await run();
		const command = ['npm run bench --', ...benchmark.slice(0, -2)].join(' ');
		if (failure !== '') reportFailure(file, {benchmark: name, command, date: new Date().toISOString(), failure});
		const outcome = failure === '' ? `written to ${path.relative(root, file)}` : failure;
		lines.push(`${name}: ${outcome}, ${(seconds() - from).toFixed(0)} s`);
		process.exitCode = failure === '' ? process.exitCode : 1;
	}

	console.log(`\n${lines.join('\n')}`);
}
