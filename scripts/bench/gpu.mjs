// One command for a machine with a GPU, where time is short: builds, then runs what is measured there, most important first, each as a
// process of its own with a time limit. FOLDER/NAME.json is written as each ends, with the reason where it failed. A dry run has the
// emulated GPU and small sizes.
import {spawn} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {build, readBuildInfo} from '../build.mjs';
import {compile} from '../compile.mjs';
import {root} from '../files.mjs';
import {choose, parseOptions, UsageError} from './against/options.mjs';
import {buildProgram} from './native-program.mjs';

const main = fileURLToPath(new URL('main.mjs', import.meta.url));
const programs = ['dllm_kernels', 'dllm_decode', 'dllm_sampling', 'dllm_products'];
const emulated = {folder: 'gpu-check-dry-run', module: 'emulated/module/libdllm_cuda.so'};
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

/** Builds all that is needed, which then takes none of a benchmark's time. Returns the environment in which the module is opened. */
function buildAll(dryRun) {
	const {folder, module} = emulated;
	process.env.DLLM_CUDA = dryRun ? 'off' : 'on';
	if (dryRun) build({also: {folder, options: ['DLLM_TESTS=ON', 'DLLM_BENCH=ON'], targets: ['dllm_emulated_module']}});
	else build();
	compile();
	const {buildId} = readBuildInfo();
	for (const name of programs) buildProgram(name, {buildId});
	if (!dryRun) return {};
	// the emulated GPU's times say nothing
	return {DLLM_CUDA_MODULE: path.join(root, '.cmake', folder, module), DLLM_CUDA_TUNE: 'off'};
}

/** Runs a benchmark to its end or to its time limit, and then ends every process that it started. Resolves to why it failed, if so. */
function runBenchmark(args, seconds, env) {
	return new Promise((resolve, reject) => {
		const stdio = ['ignore', 'inherit', 'inherit'];
		const child = spawn(process.execPath, [main, ...args], {cwd: root, env, stdio, detached: true});
		let late = false;
		const timer = setTimeout(() => {
			late = true;
			process.kill(-child.pid, 'SIGKILL');
		}, seconds * 1000);
		child.on('error', reject);
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			if (late) resolve(`it was ended after ${seconds.toFixed(0)} s`);
			else resolve(code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}`);
		});
	});
}

export async function run(args) {
	const {chosen, minutes, out, dryRun} = parse(args);
	const begin = performance.now();
	const seconds = () => (performance.now() - begin) / 1000;
	mkdirSync(out, {recursive: true});
	const env = {...process.env, ...buildAll(dryRun)};
	const lines = [`build: ${seconds().toFixed(0)} s`];
	for (const {name, args: full, tiny, minutes: most} of chosen) {
		const file = path.join(out, `${name}.json`);
		const benchmark = [...(dryRun ? tiny : full), '--out', path.relative(root, file)];
		const left = Math.min(minutes * 60 - seconds(), most * 60);
		console.error(`\n== ${name}`);
		const start = seconds();
		const failure = left > 0 ? await runBenchmark(benchmark, left, env) : 'there was no time left for it';
		const command = ['npm run bench --', ...benchmark.slice(0, -2)].join(' ');
		if (failure !== undefined) {
			const report = {benchmark: name, command, date: new Date().toISOString(), failure};
			writeFileSync(file, `${JSON.stringify(report, null, '\t')}\n`);
		}

		lines.push(`${name}: ${failure ?? `written to ${path.relative(root, file)}`}, ${(seconds() - start).toFixed(0)} s`);
		process.exitCode = failure === undefined ? process.exitCode : 1;
	}

	console.log(`\n${lines.join('\n')}`);
}
