// Checks a machine's GPU with one command: builds, runs every step below, prints a table, and writes what it found to
// docs/benchmarks/gpu-check-DEVICE.json. Needs no network and, where dist/ is there, no TypeScript compiler.
//
//   scripts/gpu-check.sh [--only STEP,…] [--minutes N] [--built-in] [--out FILE]
//   scripts/gpu-check.sh --dry-run …     the same on the emulated GPU, with small sizes
//
// --only   these steps, after the build
// --minutes   ends within so many; a step that may take longer than what is left is not run, and one that takes its own minutes
//             and those that no later step needs is ended
// --built-in   learns from the built-in corpus, whose bound is exact, where tiny shakespeare is not at hand
//
// A step that fails stops none of the others, but for the build. The exit code is 0 where every step that was asked for has
// been run and has passed.
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {root} from '../files.mjs';
import {endWithin, Skip} from '../run.mjs';
import {buildAll, findBuilt} from './built.mjs';
import {checkDevice, describeDevice} from './device.mjs';
import {timeKernels} from './kernels.mjs';
import {checkLearning} from './learning.mjs';
import {checkMemory, checkResume} from './long-runs.mjs';
import {checkSanitizer, sanitizers} from './sanitizers.mjs';
import {runTests} from './tests.mjs';

const dtypes = ['float32', 'bfloat16'];

/**
 * What there is to do, in order: name, minutes that it may take on a GPU, and function of the context, which returns figures or
 * throws.
 */
const steps = [
	['build', 5, buildAll],
	['device', 0.5, checkDevice],
	['tests', 5, runTests],
	...sanitizers.map(tool => [tool, 3, context => checkSanitizer(context, tool)]),
	...dtypes.map(dtype => [`resume-${dtype}`, 1, context => checkResume(context, dtype)]),
	...dtypes.map(dtype => [`learning-${dtype}`, 1.5, context => checkLearning(context, dtype)]),
	['memory', 2, checkMemory],
	...dtypes.map(dtype => [`kernels-${dtype}`, 1, context => timeKernels(context, dtype)]),
];

function parse(args) {
	const options = {
		only: {type: 'string'},
		minutes: {type: 'string'},
		out: {type: 'string'},
		'built-in': {type: 'boolean', default: false},
		'dry-run': {type: 'boolean', default: false},
	};
	const {values} = parseArgs({args, options});
	const wanted = values.only?.split(',') ?? steps.map(([name]) => name);
	// a name alone stands for both dtypes
	const selects = (part, name) => name === part || name.startsWith(`${part}-`);
	const unknown = wanted.find(part => !steps.some(([name]) => selects(part, name)));
	if (unknown !== undefined) {
		throw new Error(`--only: there is no step ${unknown}; accepted: ${steps.map(([name]) => name).join(', ')}`);
	}

	const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY);
	if (!(minutes > 0)) throw new Error(`--minutes is ${values.minutes}; accepted: a number above 0`);
	const chosen = steps.filter(([name]) => name === 'build' || wanted.some(part => selects(part, name)));
	if (values.out !== undefined) mkdirSync(path.dirname(path.resolve(values.out)), {recursive: true});
	return {chosen, minutes, dryRun: values['dry-run'], builtIn: values['built-in'], out: values.out};
}

/**
 * Runs a step and returns what became of it.
 *
 * @param left Minutes until the end of everything.
 * @param later Minutes that the steps after it may take: it may have the others.
 * @param save Gets what is known of the step while it runs.
 */
async function attempt([name, minutes, run], {left, later}, context, save) {
	console.error(`\n== ${name}`);
	if (left < minutes) {
		const reason = `it may take ${minutes} minutes, and ${Math.max(0, left).toFixed(1)} are left`;
		return {name, outcome: 'not run', seconds: 0, reason};
	}

	endWithin(Math.max(minutes, left - later));
	const begin = performance.now();
	const seconds = () => Number(((performance.now() - begin) / 1000).toFixed(2));
	const record = figures => save({name, outcome: 'unfinished', seconds: seconds(), figures});
	try {
		const figures = await run({...context, record});
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
	const {chosen, minutes, builtIn, ...where} = parse(args);
	const {dryRun} = where;
	const context = {dryRun, builtIn, built: findBuilt(dryRun)};
	const {version} = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
	const command = ['scripts/gpu-check.sh', ...args].join(' ');
	const head = {benchmark: 'gpu-check', command, date: new Date().toISOString(), version, dryRun};
	const begin = performance.now();
	const left = () => minutes - (performance.now() - begin) / 60_000;
	const results = [];
	let machine = {};
	const file = () => reportFile(where, machine.device);
	// After every step and within long ones, so that a run which is stopped leaves what it found; paths are those inside the project.
	const save = (...unfinished) => {
		if (file() === undefined) return;
		const seconds = Number(((performance.now() - begin) / 1000).toFixed(1));
		const report = {...head, ...machine, seconds, steps: [...results, ...unfinished]};
		writeFileSync(file(), `${JSON.stringify(report, null, '\t').replaceAll(root, '')}\n`);
	};

	for (const [index, step] of chosen.entries()) {
		const later = chosen.slice(index + 1).reduce((sum, [, most]) => sum + most, 0);
		const result = await attempt(step, {left: left(), later}, context, save);
		results.push(result);
		endWithin(left());
		if (!machine.device && result.outcome !== 'not run') machine = await describeDevice(context);
		save();
		if (step[0] !== 'build' || result.outcome === 'passed') continue;
		// what an earlier build left says nothing of this one
		const reason = `the build ${result.outcome === 'failed' ? 'failed' : 'was not run'}`;
		results.push(...chosen.slice(1).map(([name]) => ({name, outcome: 'not run', seconds: 0, reason})));
		save();
		break;
	}

	const written = file() === undefined ? '' : `, written to ${file()}`;
	console.log(`\n${machine.device?.name ?? 'no GPU'}${written}\n${table(results)}`);
	const isGreen = results.every(({outcome}) => outcome === 'passed' || (dryRun && outcome === 'skipped'));
	process.exitCode = isGreen ? 0 : 1;
}

try {
	await main(process.argv.slice(2));
} catch (error) {
	console.error(`gpu-check: ${error.message}`);
	process.exitCode = 2;
}
