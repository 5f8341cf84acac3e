// Programs that scripts run: none outlives its time limit, its own end by a signal, or ours.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {pathToFileURL} from 'node:url';
import test from 'ava';
import {packageRoot} from './support/cli.js';
import {temporaryFolder} from './support/folders.js';

type Options = {readonly minutes?: number};
type Ended = {readonly stdout: string; readonly ending: string};
type Programs = {
	run: (command: string, args: readonly string[], options?: Options) => Promise<Ended>;
	endWithin: (minutes: number) => void;
};

const file = pathToFileURL(path.join(packageRoot, 'scripts', 'run.mjs')).href;
const {run, endWithin} = (await import(file)) as Programs;

/** Arguments of sh: a process of its own that writes a file after two seconds, beside one that waits for long. */
const withChild = (trace: string) => ['-c', `(sleep 2; touch '${trace}') & echo started; sleep 60`];

test.serial('a program that ends well has no ending, another one its exit code or its signal', async t => {
	t.like(await run('sh', ['-c', 'echo one']), {stdout: 'one\n', ending: ''});
	t.like(await run('sh', ['-c', 'exit 3']), {ending: 'exit code 3'});
	t.like(await run('sh', ['-c', 'kill -KILL $$']), {ending: 'SIGKILL'});
	await t.throwsAsync(run('no-such-program', []), {code: 'ENOENT'});
});

test.serial('a program that takes too long is ended, with the processes that it has started', async t => {
	const trace = path.join(await temporaryFolder(t), 'trace');
	const {stdout, ending} = await run('sh', withChild(trace), {minutes: 0.01});
	t.is(stdout, 'started\n');
	t.is(ending, 'ended after the limit of 0.0 minutes');
	await sleep(2500);
	t.false(existsSync(trace));
});

test.serial('a program that passes over the signal to end is killed', async t => {
	const begin = performance.now();
	const {ending} = await run('sh', ['-c', "trap '' TERM; while :; do sleep 1; done"], {minutes: 0.01});
	t.regex(ending, /^ended after the limit/);
	t.true(performance.now() - begin < 20_000);
});

test.serial('no program runs for longer than all of them may', async t => {
	endWithin(0.01);
	try {
		t.regex((await run('sleep', ['60'], {minutes: 8})).ending, /^ended after the limit/);
	} finally {
		endWithin(Number.POSITIVE_INFINITY);
	}
});

test.serial('whoever is told to end ends the programs that it runs', async t => {
	const trace = path.join(await temporaryFolder(t), 'trace');
	const code = `import {run} from ${JSON.stringify(file)};
		const running = run('sh', ${JSON.stringify(withChild(trace))});
		console.log('running');
		await running;`;
	const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {stdio: ['ignore', 'pipe', 'inherit']});
	await once(parent.stdout, 'data');
	parent.kill('SIGTERM');
	const [exitCode] = await once(parent, 'close');
	t.is(exitCode, 143);
	await sleep(2500);
	t.false(existsSync(trace));
});
