// What a GPU is checked with, tried on the emulated one. Some minutes on two cores.
import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {temporaryFolder} from '../support/folders.js';

const program = fileURLToPath(new URL('../../../scripts/gpu-check.sh', import.meta.url));

type Step = {readonly name: string; readonly outcome: string; readonly reason?: string};

async function check(...args: readonly string[]): Promise<void> {
	await promisify(execFile)(program, ['--dry-run', ...args], {maxBuffer: 2 ** 28});
}

async function readSteps(file: string): Promise<readonly Step[]> {
	return (JSON.parse(await readFile(file, 'utf8')) as {steps: readonly Step[]}).steps;
}

const sanitizers = ['memcheck', 'racecheck', 'initcheck', 'synccheck'];
const inBoth = ['resume', 'learning', 'kernels'].flatMap(name => [`${name}-float32`, `${name}-bfloat16`]);

test.serial('every step passes on the emulated GPU, but for sanitizers, which need a real one', async t => {
	const out = path.join(await temporaryFolder(t), 'report.json');
	await check('--out', out);
	const steps = await readSteps(out);
	const withOutcome = (outcome: string) => steps.filter(step => step.outcome === outcome).map(({name}) => name);
	t.deepEqual(
		withOutcome('passed').sort(),
		['build', 'device', 'memory', 'tests', ...inBoth].sort(),
		JSON.stringify(steps),
	);
	t.deepEqual(withOutcome('skipped'), sanitizers);
	t.is(steps.length, 4 + inBoth.length + sanitizers.length);
});

test.serial('steps that no longer fit are not run, and that is no success', async t => {
	const out = path.join(await temporaryFolder(t), 'report.json');
	const error = await t.throwsAsync<Error & {code: number}>(
		check('--out', out, '--only', 'device', '--minutes', '0.5'),
	);
	t.is(error.code, 1);
	const [build, device] = await readSteps(out);
	t.like(build, {name: 'build', outcome: 'not run'});
	t.like(device, {name: 'device', outcome: 'not run', reason: 'the build was not run'});
});

test.serial('a step that does not exist is refused', async t => {
	const error = await t.throwsAsync<Error & {code: number; stderr: string}>(check('--only', 'nothing'));
	t.is(error.code, 2);
	t.regex(error.stderr, /there is no step nothing; accepted: build, device, tests/);
});
