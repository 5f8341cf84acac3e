// Interrupts `train` at random moments and checks that nothing is lost: what was saved continues to the same end.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Model} from '../../lib/model.js';
import {parseLines, runCli, textFolder, tinyFlags} from './cli.js';
import {seededRandom} from './crash.js';
import {warningsOf} from './processes.js';

// This file runs as dist/test/support/signals.js.
export const cliPath = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

const STEPS = 30;
const runFlags = [`--steps=${STEPS}`, '--eval-every=10', '--save-every=5', '--save-keep=2', ...tinyFlags];
const train = (out: string) => ['train', '--input=text.txt', `--out=${out}`, ...runFlags, '--json'];

const exitCodes = {SIGINT: 130, SIGTERM: 143} as const;

type SignalName = keyof typeof exitCodes;

/** When the signal is sent, and what is sent after it. */
type Plan = {
	readonly name: SignalName;
	/** Milliseconds after the line of this step; after the process was started for step 0. */
	readonly afterStep: number;
	readonly delayMs: number;
	/** The other signal follows so much later, and must end the process at once. */
	readonly secondMs: number | undefined;
};

/** Moments of all kinds: while it starts, steps, evaluates (every tenth step), saves (every fifth) and samples (the last). */
function choosePlan(random: () => number, index: number, startMs: number): Plan {
	const within = (limit: number) => Math.floor(random() * limit);
	const name = index % 2 === 0 ? 'SIGINT' : 'SIGTERM';
	const secondMs = random() < 0.25 ? within(60) : undefined;
	const moments: [number, number][] = [
		[0, within(startMs)],
		[1 + within(STEPS - 1), within(5)],
		[5 * (1 + within(STEPS / 5 - 1)), within(80)],
		[10 * (1 + within(STEPS / 10 - 1)), within(80)],
		[STEPS, within(150)],
		[1 + within(STEPS - 1), within(80)],
	];
	const [afterStep, delayMs] = moments[Math.floor(index / 2) % moments.length]!;
	return {name, afterStep, delayMs, secondMs};
}

type Ending = {readonly code: number | string; readonly stdout: string; readonly stderr: string};

async function runAndSignal(cwd: string, out: string, plan: Plan): Promise<Ending> {
	const child = spawn(process.execPath, [cliPath, ...train(out)], {
		cwd,
		env: {...process.env, DLLM_THREADS: '1'},
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const closed = new Promise<number | string>(resolve => {
		child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
	});
	let sent: Promise<void> | undefined;
	const send = async () => {
		await setTimeout(plan.delayMs);
		child.kill(plan.name);
		if (plan.secondMs === undefined) return;
		await setTimeout(plan.secondMs);
		child.kill(plan.name === 'SIGINT' ? 'SIGTERM' : 'SIGINT');
	};
	if (plan.afterStep === 0) sent = send();
	let stdout = '';
	let stderr = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	for await (const line of readline.createInterface({input: child.stdout})) {
		stdout += `${line}\n`;
		if (line.startsWith(`{"kind":"step","step":${plan.afterStep},`)) sent ??= send();
	}

	const code = await closed;
	await sent;
	return {code, stdout, stderr};
}

function checkEnding(t: ExecutionContext, {code, stdout, stderr}: Ending, plan: Plan, what: string): void {
	const codes: (number | string)[] = [exitCodes[plan.name]];
	if (plan.secondMs !== undefined) codes.push(...Object.values(exitCodes));
	const isComplete = stdout.includes('{"kind":"end"');
	if (isComplete) codes.push(0);
	// before it listens, and when it has no more to do, a signal ends it as it ends any process: a shell shows the same codes
	const isSaved = isComplete || stdout.includes('{"kind":"interrupted"');
	if (isSaved || !stdout.includes('{"kind":"start"')) codes.push('SIGINT', 'SIGTERM');
	t.true(codes.includes(code), `${what}: exit code ${code}: ${stderr}`);
	t.notRegex(stderr, /error|warning|exception|at .*\.js:\d/i, what);
	for (const line of stdout.split('\n').slice(0, -1)) t.notThrows(() => JSON.parse(line), what);
}

async function temporaries(folder: string): Promise<string[]> {
	const names = existsSync(folder) ? await readdir(folder, {recursive: true}) : [];
	return names.filter(name => /\.(tmp|old)-/.test(name));
}

/** Not the evaluations: one that is interrupted is not made good for. */
async function outcome(folder: string): Promise<{weights: Buffer; losses: unknown[]}> {
	const metrics = parseLines(await readFile(path.join(folder, 'metrics.jsonl'), 'utf8'));
	return {
		weights: await readFile(path.join(folder, `step-${STEPS}`, 'model.safetensors')),
		losses: metrics.filter(({kind}) => kind === 'step').map(({step, loss}) => [step, loss]),
	};
}

/** Interrupts runs, each at another moment, continues each, and compares it with one that was never stopped. */
export async function interruptRepeatedly(t: ExecutionContext, count: number, seed: number): Promise<void> {
	const cwd = await textFolder(t);
	const random = seededRandom(seed);
	const begin = performance.now();
	t.is((await runCli(train('straight'), {cwd})).code, 0);
	const startMs = Math.min(1000, 0.7 * (performance.now() - begin));
	const straight = await outcome(path.join(cwd, 'straight'));
	const endings = new Map<number | string, number>();
	for (let index = 0; index < count; index++) {
		const plan = choosePlan(random, index, startMs);
		const what = JSON.stringify(plan);
		const out = `run${index}`;
		const folder = path.join(cwd, out);
		const ending = await runAndSignal(cwd, out, plan);
		checkEnding(t, ending, plan, what);
		endings.set(ending.code, (endings.get(ending.code) ?? 0) + 1);
		if (typeof ending.code === 'number' && plan.secondMs === undefined)
			t.deepEqual(await temporaries(folder), [], what);
		const isSaved = existsSync(path.join(folder, 'latest'));
		t.true(isSaved || !ending.stdout.includes('"kind":"interrupted"'), what);
		if (isSaved) {
			const {value, warnings} = await warningsOf(() => Model.load(folder));
			t.deepEqual(warnings, [], what);
			await value[Symbol.asyncDispose]();
		}

		const isComplete = existsSync(path.join(folder, `step-${STEPS}`));
		const args = isSaved ? ['train', '--resume', out, '--json'] : train(out);
		const continued = await runCli(args, {cwd});
		t.is(continued.code, 0, `${what}: ${continued.stderr}`);
		if (!isComplete) t.deepEqual(await temporaries(folder), [], `${what}: after it was continued`);
		const {weights, losses} = await outcome(folder);
		t.true(weights.equals(straight.weights), `${what}: it ends with other weights`);
		t.deepEqual(losses, straight.losses, what);
	}

	t.log(`${count} interruptions: ${[...endings].map(([code, times]) => `${code} ${times} times`).join(', ')}`);
}
