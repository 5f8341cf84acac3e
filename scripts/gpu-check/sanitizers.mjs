// NVIDIA's compute-sanitizer on a few cases of every op, for our own kernels only; memcheck also on products with
// epilogues and on training, whose tensors are views into one arena. Each tool must first find a planted fault.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {Failure, run, runSeveral, Skip} from '../run.mjs';

const dtypes = ['float32', 'bfloat16'];

const fewOps = dtypes.map(dtype => `gpu_few_ops_in_${dtype}`);

const epilogues = dtypes.map(dtype => `gpu_products_by_epilogues_in_${dtype}`);

/**
 * By tool: its options, the fault of planted_faults.cu that it must find, what it says where it has found nothing, and the
 * tests that run under it. initcheck does not see what kernels of cuBLAS write, so it takes only tests in which every
 * buffer is written by the host beforehand. Of memcheck only what kernels do counts: a call that fails is for its caller.
 */
const tools = {
	memcheck: {
		options: ['--report-api-errors', 'no'],
		fault: 'out_of_bounds',
		clean: /ERROR SUMMARY: 0 errors/,
		tests: [
			...fewOps,
			...epilogues,
			'gpu_attention_sequences_do_not_depend_on_the_batch',
			'gpu_training_of_gpt2_equals_the_cpus',
			'gpu_training_in_bfloat16_follows_float32',
		],
	},
	racecheck: {options: [], fault: 'race', clean: /RACECHECK SUMMARY: 0 hazards/, tests: fewOps},
	initcheck: {options: [], fault: 'uninitialised', clean: /ERROR SUMMARY: 0 errors/, tests: fewOps},
	synccheck: {options: [], fault: 'divergent_barrier', clean: /ERROR SUMMARY: 0 errors/, tests: fewOps},
};

export const sanitizers = Object.keys(tools);

const ERROR_CODE = 99;

/** Of the toolkit: {command, filter}. */
async function findSanitizer() {
	const {CUDA_HOME, CUDA_PATH} = process.env;
	const homes = [CUDA_HOME, CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
	const files = homes
		.flatMap(home => ['bin', 'compute-sanitizer'].map(folder => path.join(home, folder, 'compute-sanitizer')))
		.filter(file => existsSync(file));
	for (const command of ['compute-sanitizer', ...files]) {
		try {
			const {ending, stdout} = await run(command, ['--help'], {minutes: 1});
			if (ending !== '') continue;
			const byName = /--kernel-name\b/.test(stdout);
			return {command, filter: byName ? ['--kernel-name', 'kernel_substring=dllm'] : ['--kernel-regex', 'kns=dllm']};
		} catch (error) {
			if (error.code !== 'ENOENT') throw error; // the next one
		}
	}

	throw new Failure(
		`there is no compute-sanitizer on PATH or in ${homes.join(', ')} (it is a part of the CUDA toolkit)`,
	);
}

/** Runs a program under a tool: {ending, summary, output}. */
async function runUnder({command, filter}, tool, program, env) {
	const options = [
		'--tool',
		tool,
		'--error-exitcode',
		String(ERROR_CODE),
		'--print-limit',
		'20',
		...tools[tool].options,
	];
	const {ending, stdout, stderr} = await run(command, [...options, ...filter, ...program], {env, minutes: 5});
	const output = `${stdout}\n${stderr}`;
	return {ending, output, summary: /(ERROR|RACECHECK) SUMMARY: .*/.exec(output)?.[0]};
}

function describe({ending, summary, output}) {
	const lines = output.split('\n').filter(line => line.trim() !== '');
	return `${summary ?? 'no summary'}, ${ending || 'exit code 0'}\n${[...lines.slice(0, 30), ...lines.slice(-10)].join('\n')}`;
}

/** Whether the tool finds its fault, through the same filter, and names the kernel that has it: {summary} or {problem}. */
async function checkFault(sanitizer, tool, {plantedFaults, env}) {
	const {fault, clean} = tools[tool];
	const found = await runUnder(sanitizer, tool, [plantedFaults, fault], env);
	const isFound = found.summary !== undefined && !clean.test(found.summary) && found.ending !== '';
	if (isFound && new RegExp(`\\b${fault}\\b`).test(found.output)) return {summary: found.summary};
	return {problem: `${tool} did not find the planted fault ${fault}: ${describe(found)}`};
}

export async function checkSanitizer({built, dryRun, record}, tool) {
	if (dryRun) throw new Skip('compute-sanitizer needs a GPU');
	const sanitizer = await findSanitizer();
	const {clean, tests} = tools[tool];
	// Timed candidates are cuBLAS's and only take time here.
	const env = {...built.env, DLLM_CUDA_TUNE: 'off'};
	const fault = await checkFault(sanitizer, tool, {...built, env});
	const figures = {filter: sanitizer.filter.join(' '), fault: fault.summary ?? 'not found', tests: {}};
	// what the tests find is worth knowing all the same
	const problems = fault.problem === undefined ? [] : [fault.problem];
	record(figures);
	const task = test => async () => {
		const result = await runUnder(sanitizer, tool, [built.tests, '--only', test], env);
		figures.tests[test] = result.summary ?? 'no summary';
		record(figures);
		const passed = /^1 passed, 0 failed$/m.test(result.output);
		if (result.ending !== '' || !passed || !clean.test(result.summary ?? ''))
			problems.push(`${test}: ${describe(result)}`);
	};

	await runSeveral(tests.length, tests.map(task));
	if (problems.length > 0)
		throw new Failure(
			`of the planted fault and ${tests.length} tests ${problems.length} failed: ${problems.join('\n')}`,
			figures,
		);
	return figures;
}
