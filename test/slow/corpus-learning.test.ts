// The command line must learn to a number known beforehand: without a network, the nano preset on the built-in corpus comes
// close to the exact probability of the held-out stories, and not below it.
// About three minutes; on its own: npx ava dist/test/slow/corpus-learning.test.js
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {generateStories, logProbability} from '../../lib/index.js';
import {parseLines, runCli} from '../support/cli.js';
import {temporaryFolder} from '../support/folders.js';

/** Nats per character that the bound may be above the exact value, of which a perfect model of 64 characters needs 0.06. */
const MAX_GAP = 0.15;

type Bound = {nll: number; standardError: number};

test('`train` on the built-in corpus reaches its exact probability, and `eval` says so', async t => {
	t.timeout(30 * 60_000);
	const cwd = await temporaryFolder(t);
	const env = {DLLM_THREADS: process.env.DLLM_THREADS, DLLM_SHAKESPEARE_URL: 'http://127.0.0.1:1/'};
	const trained = await runCli(['train', '--preset', 'nano', '--out', 'run', '--json'], {cwd, env});
	t.is(trained.code, 0, trained.stderr);
	const lines = parseLines(trained.stdout);
	for (const {kind, step, nll} of lines) if (kind === 'eval') t.log(`step ${step}: ${nll} nats per character`);
	const {evaluation, samples, seconds} = lines.at(-1) as {evaluation: Bound; samples: string[]; seconds: number};
	t.log(`${seconds} s\n${samples.join('\n---\n')}`);

	const evaluated = await runCli(['eval', '--model', 'run', '--json'], {cwd, env});
	t.is(evaluated.code, 0, evaluated.stderr);
	const [{nll, standardError, exact}] = parseLines(evaluated.stdout) as [Bound & {exact: {nll: number; gap: number}}];
	t.log(`bound ${nll} ± ${standardError}, exact ${exact.nll}, gap ${exact.gap}`);
	t.is(nll, evaluation.nll);
	t.is(exact.gap, nll - exact.nll);
	t.true(exact.gap <= MAX_GAP, `${exact.gap}`);
	// below the exact value, a model would be seeing its answers
	t.true(exact.gap >= -3 * standardError, `${exact.gap}`);

	const {data} = JSON.parse(await readFile(path.join(cwd, 'run', 'data.json'), 'utf8'));
	const text = generateStories({seed: data.seed, characters: data.characters});
	const heldOut = text.slice(text.lastIndexOf('\n', 0.9 * text.length) + 1);
	t.is(exact.nll, -logProbability(heldOut).logProbability / heldOut.length);

	const shown = await runCli(['eval', '--model', 'run'], {cwd, env});
	t.true(shown.stdout.includes(`${exact.nll.toFixed(4)} nats per token; gap +${exact.gap.toFixed(4)}`), shown.stdout);
});
