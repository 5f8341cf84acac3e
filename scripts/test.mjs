// Builds and runs every test; the last line printed is "N passed, N failed".
//
//   node scripts/test.mjs          native tests on each instruction set and under sanitizers, the CUDA module for
//                                  compute capability 9.0, then dist/test/*.test.js
//   node scripts/test.mjs --slow   native tests under ThreadSanitizer, and under AddressSanitizer those that npm test leaves
//                                  out and a million mutated files, the CUDA module for 8.0, then dist/test/slow/*.test.js
import {execFileSync} from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import {build, modulePath, readBuildInfo} from './build.mjs';
import {generatorArguments, jobs, prepareTree, readFacts, requireTools, runTool} from './cmake.mjs';
import {compile} from './compile.mjs';
import {testCudaModule} from './cuda-module.mjs';
import {listFiles, root} from './files.mjs';
import {start} from './run.mjs';

const total = {passed: 0, failed: 0, skipped: 0};

function add(counts) {
	for (const key of Object.keys(total)) total[key] += counts[key];
}

function formatCounts({passed, failed, skipped}) {
	return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Runs a step; one that throws counts as one failure. Returns whether it succeeded. */
async function attempt(step) {
	try {
		await step();
		return true;
	} catch (error) {
		console.log(`FAILED: ${error.message}`);
		total.failed++;
		return false;
	}
}

/** Runs a program, and whatever it starts, and gives each line it prints to `onLine`. Resolves to how it ended: '' or the reason it failed. */
function run(command, args, {env, minutes, onLine}) {
	const {child, ended} = start(command, args, {env, minutes, stdio: ['ignore', 'pipe', 'inherit']});
	readline.createInterface({input: child.stdout}).on('line', onLine);
	return ended.catch(error => error.message);
}

/** Adds a program's counts, and one failure where it ended badly without reporting any. */
function conclude(title, ending, counts, seconds) {
	const unreported = !counts || (ending !== '' && counts.failed === 0);
	if (unreported) console.log(`FAILED: ${title} ended without a full report: ${ending || 'no counts printed'}`);
	const result = counts ?? {passed: 0, failed: 0, skipped: 0};
	if (unreported) result.failed++;
	add(result);
	console.log(`${title}: ${formatCounts(result)} (${seconds.toFixed(0)} s)`);
}

async function runNative(program, title, {env, filters, processes = jobs}) {
	const start = performance.now();
	let counts;
	const ending = await run(program, ['--processes', String(processes), ...filters], {
		env: {UBSAN_OPTIONS: 'print_stacktrace=1', ...env},
		minutes: 20,
		onLine(line) {
			const match = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(line);
			if (match) counts = {passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0)};
			else if (!/ ok \([\d.]+ s\)$/.test(line)) console.log(`  ${line}`);
		},
	});
	conclude(title, ending, counts, (performance.now() - start) / 1000);
}

async function runAva(folder) {
	const start = performance.now();
	const title = `API tests in ${folder}`;
	const files = listFiles(folder).filter(
		file => path.dirname(file) === path.normalize(folder) && file.endsWith('.test.js'),
	);
	if (files.length === 0) {
		conclude(title, 'no test files', undefined, 0);
		return;
	}

	const counts = {passed: 0, failed: 0, skipped: 0};
	let showing = false;
	const minutes = folder.endsWith('slow') ? 600 : 20;
	const ava = path.join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
	const ending = await run(process.execPath, [ava, '--tap', `--timeout=${minutes}m`, ...files], {
		env: {},
		minutes,
		onLine(line) {
			const result = /^(?<not>not )?ok \d+ - (?<name>.*?)(?<skipped> # (SKIP|TODO).*)?$/.exec(line);
			if (result) {
				const {not, name, skipped} = result.groups;
				const kind = skipped ? 'skipped' : not ? 'failed' : 'passed';
				counts[kind]++;
				showing = kind === 'failed';
				if (kind !== 'passed') console.log(`  ${kind.toUpperCase()}: ${name}`);
			} else if (showing && /^\s/.test(line)) {
				console.log(`  ${line}`);
			}
		},
	});
	conclude(title, ending, counts, (performance.now() - start) / 1000);
}

/** Builds dllm_tests in a tree of its own, without Node; returns it and the instruction sets compiled into it. */
function buildNativeTests(folder, sanitize = '') {
	requireTools();
	const options = [
		'-DDLLM_TESTS=ON',
		'-DDLLM_ADDON=OFF',
		'-DDLLM_CUDA=off',
		`-DDLLM_WERROR=${sanitize ? 'OFF' : 'ON'}`,
		`-DDLLM_SANITIZE=${sanitize}`,
	];
	const tree = prepareTree(folder, options);
	// The installed module's, so that the tests of a GPU can use it.
	const id = `-DDLLM_BUILD_ID=${installed?.buildId ?? 'development'}`;
	runTool(`Configuring ${folder}`, 'cmake', ['-S', root, '-B', tree, ...generatorArguments(), ...options, id]);
	runTool(`Compiling ${folder}`, 'cmake', ['--build', tree, '--parallel', String(jobs)]);
	return {program: path.join(tree, 'dllm_tests'), compiled: readFacts(tree).cpuPaths};
}

function printedLines(program, option) {
	return execFileSync(program, [option], {encoding: 'utf8'}).split('\n').filter(Boolean);
}

/**
 * Runs the native tests of one build on the chosen instruction sets, each {cpu, filters?, processes?}, where this CPU has
 * them.
 */
async function testNative(title, folder, sanitize, choosePaths, env = {}) {
	let tests;
	let usable;
	const built = await attempt(() => {
		tests = buildNativeTests(folder, sanitize);
		usable = printedLines(tests.program, '--paths');
	});
	if (!built) return;
	for (const {cpu, filters = [], processes} of choosePaths(usable, tests.compiled)) {
		if (usable.includes(cpu)) {
			const options = {env: {...env, DLLM_CPU: cpu}, filters, processes};
			await runNative(tests.program, `${title}, ${cpu}`, options);
		} else {
			const skipped = printedLines(tests.program, '--list').length;
			console.log(`${title}, ${cpu}: SKIPPED, this CPU cannot run ${cpu} (${skipped} tests)`);
			add({passed: 0, failed: 0, skipped});
		}
	}
}

const without = parts => parts.flatMap(part => ['--without', part]);

// A GPU is the same whatever the CPU's kernels are, and sanitizers of the host see nothing of it. Its tests run one after
// the other: one of them fills it.
const onGpu = 'gpu_';

// The emulated GPU is slow under sanitizers, and so are the twins, which are loops of the tests themselves. Every time: a
// few op cases for each kernel, the vectors, a training run, products by epilogues. The slow suite runs the rest.
const slowSanitized = [
	'emulated_ops_in',
	'emulated_attention_of_warpgroups',
	'emulated_attention_sequences',
	'emulated_replayed_steps',
	'emulated_training_in_bfloat16',
	'emulated_training_of_llama',
	'emulated_training_of_two_models',
	'emulated_training_with_timed_plans',
	'emulated_training_resumes',
	'emulated_models_report_a_dead_device',
	'emulated_models_survive_a_failed',
	'emulated_products_in_parts',
	'ops_of_the_float_twins',
];
const fewEmulated = ['emulated_kernels'];

const slow = process.argv.includes('--slow');
let installed;
const ready =
	(await attempt(() => {
		build();
		installed = readBuildInfo();
	})) && (await attempt(compile));
if (slow) {
	const threads = ([cpu]) => [{cpu, filters: without([...slowSanitized, onGpu])}];
	await testNative('Native tests, thread sanitizer', 'tests-thread-sanitized', 'thread', threads, {
		DLLM_TEST_FACTOR: '0.2',
	});
	const repeated = ([cpu]) => [{cpu, filters: ['busy_cores', 'work_queues']}];
	await testNative('Native tests, many repeats', 'tests', '', repeated, {DLLM_TEST_FACTOR: '5'});
	const fuzzed = ([cpu]) => [{cpu, filters: ['mutated_files']}];
	const rest = ([cpu]) => [{cpu, filters: slowSanitized}];
	await testNative('Native tests, the rest sanitized', 'tests-sanitized', 'address,undefined', rest);
	await testNative('Mutated files, sanitized', 'tests-sanitized', 'address,undefined', fuzzed, {
		DLLM_FUZZ_RUNS: '1000000',
	});
} else {
	const everyPath = (_, [best, ...others]) => [
		{cpu: best, filters: without([...fewEmulated, onGpu])},
		...others.map(cpu => ({cpu, filters: without(['emulated', onGpu])})),
	];
	await testNative('Native tests', 'tests', '', everyPath, {
		DLLM_TEST_FACTOR: '0.3', // of the repeats of tests that look for rare events; the slow suite has many more
	});
	const theGpu = ([cpu]) => [{cpu, filters: [onGpu, ...without(['gpu_few_ops'])], processes: 1}];
	const {enabled, reason} = installed?.cuda ?? {enabled: false, reason: 'it was not built'};
	const gpuTitle = `Native tests on the GPU${enabled ? '' : ` (no CUDA module: ${reason})`}`;
	await testNative(gpuTitle, 'tests', '', theGpu, enabled ? {DLLM_CUDA_MODULE: modulePath} : {});
	// Sanitizers are slow: everything on the best instruction set, of the others the kernels of the narrowest.
	const sanitized = ([best, ...others]) => [
		{cpu: best, filters: without([...slowSanitized, onGpu])},
		...others.slice(-1).map(cpu => ({cpu, filters: ['ops_of_the_cpu_backend']})),
	];
	await testNative('Native tests, sanitized', 'tests-sanitized', 'address,undefined', sanitized, {
		DLLM_FUZZ_RUNS: '100000',
		DLLM_TEST_FACTOR: '0.1',
	});
}

if (ready) await attempt(async () => add(await testCudaModule(slow ? '80' : '90')));
if (ready) await attempt(() => runAva(slow ? 'dist/test/slow' : 'dist/test'));
console.log(formatCounts(total));
process.exitCode = total.failed > 0 ? 1 : 0;
