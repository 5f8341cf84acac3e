// Checks a machine's GPU with one command: builds, runs every step below, prints a table, and writes what it found to
// docs/benchmarks/gpu-check-DEVICE.json. Needs no network and, where dist/ is there, no TypeScript compiler.
//
//   scripts/gpu-check.sh [--only STEP,…] [--out FILE]
//   scripts/gpu-check.sh --dry-run [--only STEP,…] [--out FILE]     the same on the emulated GPU, with small sizes
//
// A step that fails stops none of the others; the exit code is 1 where one failed.
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {root} from '../files.mjs';
import {buildAll, findBuilt} from './built.mjs';
import {checkDevice, describeDevice} from './device.mjs';
import {timeKernels} from './kernels.mjs';
import {checkLearning} from './learning.mjs';
import {checkMemory, checkResume} from './long-runs.mjs';
import {Skip} from './run.mjs';
import {checkSanitizer, sanitizers} from './sanitizers.mjs';
import {runTests} from './tests.mjs';

const dtypes = ['float32', 'bfloat16'];

/** What there is to do, in order: name and function of the context, which returns figures or throws. */
const steps = [
	['build', buildAll],
	['device', checkDevice],
	['tests', runTests],
	...dtypes.map(dtype => [`learning-${dtype}`, context => checkLearning(context, dtype)]),
	...dtypes.map(dtype => [`resume-${dtype}`, context => checkResume(context, dtype)]),
	...dtypes.map(dtype => [`kernels-${dtype}`, context => timeKernels(context, dtype)]),
	['memory', checkMemory],
	...sanitizers.map(tool => [tool, context => checkSanitizer(context, tool)]),
];

function parse(args) {
	const options = {only: {type: 'string'}, out: {type: 'string'}, 'dry-run': {type: 'boolean', default: false}};
	const {values} = parseArgs({args, options});
	const wanted = values.only?.split(',') ?? steps.map(([name]) => name);
	// a name alone stands for both dtypes
	const selects = (part, name) => name === part || name.startsWith(`${part}-`);
	const unknown = wanted.find(part => !steps.some(([name]) => selects(part, name)));
	if (unknown !== undefined) {
		throw new Error(`--only: there is no step ${unknown}; accepted: ${steps.map(([name]) => name).join(', ')}`);
	}

	const chosen = steps.filter(([name]) => wanted.some(part => selects(part, name)));
	return {chosen, dryRun: values['dry-run'], out: values.out};
}

async function attempt([name, run], context) {
	console.error(`\n== ${name}`);
	const begin = performance.now();
	const seconds = () => Number(((performance.now() - begin) / 1000).toFixed(2));
	try {
		const figures = await run(context);
		return {name, outcome: 'passed', seconds: seconds(), figures};
	} catch (error) {
		const outcome = error instanceof Skip ? 'skipped' : 'failed';
		console.error(`${outcome}: ${error.message}`);
		return {name, outcome, seconds: seconds(), reason: error.message, ...(error.figures && {figures: error.figures})};
	}
}

/** One line of a step: its figures that are plain numbers or short texts. */
function summary({reason, figures = {}}) {
	if (reason !== undefined) return reason.split('\n')[0];
	return Object.entries(figures)
		.filter(([, value]) => typeof value !== 'object')
		.map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(5)) : value}`)
		.join(', ');
}

function table(results) {
	return results
		.map(result =>
			[
				result.name.padEnd(20),
				result.outcome.padEnd(9),
				`${result.seconds.toFixed(1)} s`.padStart(9),
				'  ',
				summary(result),
			]
				.join('')
				.slice(0, 160),
		)
		.join('\n');
}

/** "NVIDIA H200" -> "nvidia-h200" */
function slug(name) {
	return name
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, '-')
		.replace(/^-|-$/g, '');
}

/** Where the report is written: what --out says, else for a GPU docs/benchmarks; nowhere for a dry run. */
function reportFile({out, dryRun}, device) {
	if (out !== undefined || dryRun || !device) return out;
	return path.join(root, 'docs', 'benchmarks', `gpu-check-${slug(device.name)}.json`);
}

async function main(args) {
	const {chosen, ...where} = parse(args);
	const {dryRun} = where;
	const context = {dryRun, built: findBuilt(dryRun)};
	const {version} = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
	const command = ['scripts/gpu-check.sh', ...args].join(' ');
	const head = {benchmark: 'gpu-check', command, date: new Date().toISOString(), version, dryRun};
	const begin = performance.now();
	const results = [];
	let machine = {};
	let file;
	for (const step of chosen) {
		results.push(await attempt(step, context));
		if (!machine.device) machine = await describeDevice(context);
		const seconds = Number(((performance.now() - begin) / 1000).toFixed(1));
		file = reportFile(where, machine.device);
		// After every step, so that a run which is stopped leaves what it found; paths are those inside the project.
		const text = JSON.stringify({...head, ...machine, seconds, steps: results}, null, '\t').replaceAll(root, '');
		if (file !== undefined) writeFileSync(file, `${text}\n`);
	}

	const written = file === undefined ? '' : `, written to ${file}`;
	console.log(`\n${machine.device?.name ?? 'no GPU'}${written}\n${table(results)}`);
	process.exitCode = results.some(({outcome}) => outcome === 'failed') ? 1 : 0;
}

try {
	await main(process.argv.slice(2));
} catch (error) {
	console.error(`gpu-check: ${error.message}`);
	process.exitCode = 2;
}
