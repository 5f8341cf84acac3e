// The native tests named gpu_…: every op, vectors, training, sampling, resuming, graphs, memory that runs out. Each has a
// process of its own, and so have the cases of each op: a kernel that faults takes down all later work of its process.
import {jobs} from '../cmake.mjs';
import {Failure, run, runOrFail, runSeveral} from '../run.mjs';

/** Of one test, or of one op's cases. */
const MINUTES = 1.5;

/** Processes that share the GPU while each checks an op: most of their time goes into the twins, on the CPU. */
const WIDTH = Math.min(8, jobs);

const isOfOps = name => /^gpu_(few_)?ops_in_/.test(name);

async function list({built}, option) {
	return (await runOrFail(option, built.tests, [option])).split('\n').filter(Boolean);
}

/**
 * What there is to run: {title, name, op?}. A dry run has a few cases of each op, else there are all; and it fills no device:
 * the emulated one's memory is this machine's.
 */
async function findTests(context) {
	const left = context.dryRun ? /^gpu_ops_in_|_the_device_was_full$/ : /^gpu_few_ops_in_/;
	const names = (await list(context, '--list')).filter(name => name.startsWith('gpu_') && !left.test(name));
	const ops = await list(context, '--ops');
	return names.flatMap(name =>
		isOfOps(name) ? ops.map(op => ({title: `${name} ${op}`, name, op})) : [{title: name, name}],
	);
}

async function runTest({built}, {title, name, op}) {
	const begin = performance.now();
	const env = {...built.env, ...(op && {DLLM_TEST_OPS: op})};
	const {ending, stdout, stderr} = await run(built.tests, ['--only', name], {env, minutes: MINUTES});
	const seconds = Number(((performance.now() - begin) / 1000).toFixed(2));
	const passed = ending === '' && /^1 passed, 0 failed$/m.test(stdout);
	const skipped = ending === '' && /^0 passed, 0 failed, 1 skipped$/m.test(stdout);
	const outcome = passed ? 'passed' : skipped ? 'skipped' : 'failed';
	console.error(`${title}: ${outcome} (${seconds} s)`);
	if (passed) return {title, outcome, seconds};
	const output = `${ending}\n${stdout}\n${stderr}`.split('\n').filter(line => line.trim() !== '');
	return {title, outcome, seconds, problem: output.slice(0, 12).join('\n')};
}

function summarize(results) {
	const count = outcome => results.filter(result => result.outcome === outcome).length;
	const tests = Object.fromEntries(results.map(({title, seconds}) => [title, seconds]));
	const problems = Object.fromEntries(results.flatMap(({title, problem}) => (problem ? [[title, problem]] : [])));
	return {passed: count('passed'), failed: count('failed'), skipped: count('skipped'), tests, problems};
}

export async function runTests(context) {
	const tests = await findTests(context);
	const results = [];
	const task = test => async () => {
		results.push(await runTest(context, test));
		context.record(summarize(results));
	};

	await runSeveral(WIDTH, tests.filter(({op}) => op).map(task));
	await runSeveral(1, tests.filter(({op}) => !op).map(task)); // the whole device is theirs
	const figures = summarize(results);
	if (figures.passed < tests.length || tests.length === 0) {
		const titles = Object.keys(figures.problems);
		const [first] = Object.values(figures.problems);
		throw new Failure(
			`${figures.failed} failed, ${figures.skipped} skipped of ${tests.length}: ${titles.join(', ')}\n${first}`,
			figures,
		);
	}

	return figures;
}
