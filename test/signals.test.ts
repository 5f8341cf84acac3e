// Ctrl-C and SIGTERM at any moment of a training run. More of them are in test/slow/.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdir} from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import {setTimeout} from 'node:timers/promises';
import test from 'ava';
import {runCli, textFolder, tinyFlags} from './support/cli.js';
import {cliPath, interruptRepeatedly} from './support/signals.js';

test('a run that is interrupted anywhere continues to the same end', async t => {
	await Promise.all([1, 2].map(seed => interruptRepeatedly(t, 6, seed)));
});

test('SIGTERM after Ctrl-C ends the process at once, the same signal sent twice does not', async t => {
	const cwd = await textFolder(t);
	// a step of seconds, which the first signal waits for
	const size = ['--layers=2', '--heads=8', '--width=256', '--context-length=96', '--batch-size=48', '--eval-batches=1'];
	const env = {...process.env, DLLM_THREADS: '1'};
	const interrupting = async (out: string, signals: readonly NodeJS.Signals[]) => {
		const args = [cliPath, 'train', '--input=text.txt', `--out=${out}`, '--steps=20', '--json', ...size];
		const child = spawn(process.execPath, args, {cwd, env, stdio: ['ignore', 'pipe', 'ignore']});
		const closed = once(child, 'close');
		for await (const line of readline.createInterface({input: child.stdout})) {
			if (!line.startsWith('{"kind":"start"')) continue;
			for (const signal of signals) {
				child.kill(signal);
				await setTimeout(100);
			}
		}

		return [(await closed)[0], (await readdir(path.join(cwd, out))).includes('latest')];
	};
	t.deepEqual(await interrupting('ended', ['SIGINT', 'SIGTERM']), [143, false]);
	t.deepEqual(await interrupting('saved', ['SIGTERM', 'SIGTERM']), [143, true]);
	t.is((await runCli(['train', '--input=text.txt', '--out=ended', '--steps=1', ...tinyFlags], {cwd})).code, 0);
});
