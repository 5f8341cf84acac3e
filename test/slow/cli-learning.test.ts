// The command line must learn: the nano preset on tiny shakespeare reaches the bound that a PyTorch twin of it reached.
// About three minutes on two cores; on its own: npx ava dist/test/slow/cli-learning.test.js
import {existsSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {packageRoot, parseLines, runCli} from '../support/cli.js';
import {temporaryFolder} from '../support/folders.js';

const text = path.join(
	process.env.DLLM_SHARED ?? path.join(packageRoot, '..', 'shared'),
	'data',
	'tinyshakespeare.txt',
);

/** Nats per character on the held-out tenth after 1500 steps, as `eval` measures it. */
const BOUND = 2.36;

if (!existsSync(text))
	console.error(`SKIPPED: ${text} does not exist; DLLM_SHARED names the folder with data/tinyshakespeare.txt`);

(existsSync(text) ? test : test.skip)(
	'`train --input` learns tiny shakespeare, and `eval` measures the same bound',
	async t => {
		t.timeout(30 * 60_000);
		const cwd = await temporaryFolder(t);
		const env = {DLLM_THREADS: process.env.DLLM_THREADS};
		const trained = await runCli(['train', '--input', text, '--preset', 'nano', '--out', 'run', '--json'], {cwd, env});
		t.is(trained.code, 0, trained.stderr);
		const lines = parseLines(trained.stdout);
		for (const {kind, step, nll} of lines) if (kind === 'eval') t.log(`step ${step}: ${nll} nats per character`);
		const {evaluation, samples, seconds} = lines.at(-1) as {
			evaluation: {nll: number};
			samples: string[];
			seconds: number;
		};
		t.log(`${seconds} s\n${samples.join('\n---\n')}`);
		const evaluated = await runCli(['eval', '--model', 'run', '--input', text, '--json'], {cwd, env});
		t.is(evaluated.code, 0, evaluated.stderr);
		const [{nll}] = parseLines(evaluated.stdout) as [{nll: number}];
		t.true(nll <= BOUND, `${nll}`);
		// below the entropy of English, a model would be seeing its answers
		t.true(nll > 0.8, `${nll}`);
		t.is(nll, evaluation.nll);

		t.is((await runCli(['prepare', 'shakespeare_char', '--input', text], {cwd})).code, 0);
		const prepared = await runCli(['train', '--steps', '2', '--out', 'prepared', '--json'], {cwd, env});
		t.like(parseLines(prepared.stdout)[0], {data: {kind: 'folder', path: path.join(cwd, 'data', 'shakespeare_char')}});

		const sampled = await runCli(
			['sample', '--model', 'run', '--prompt', 'ROMEO:', '--length', '58', '--count', '3', '--temperature', '1'],
			{cwd, env},
		);
		t.is(sampled.code, 0, sampled.stderr);
		t.log(sampled.stdout);
	},
);
