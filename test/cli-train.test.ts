// The command line at work: train, sample, eval and resume, as a user runs them one after the other.
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {parseLines, runCli, textFolder, tinyFlags} from './support/cli.js';
import {tinyText} from './support/tiny.js';

const train = (...args: readonly string[]) => ['train', '--input', 'text.txt', ...tinyFlags, ...args];

async function readJson(...names: readonly string[]): Promise<Record<string, unknown>> {
	return JSON.parse(await readFile(path.join(...names), 'utf8')) as Record<string, unknown>;
}

test.serial('train, sample, eval and resume', async t => {
	const cwd = await textFolder(t);
	const trained = await runCli(train('--out', 'runs/a', '--steps', '20', '--eval-every', '10'), {cwd});
	t.is(trained.code, 0, trained.stderr);
	t.is(trained.stderr, '');
	t.regex(trained.stdout, /step {2}1\/20 {2}loss \d/);
	t.is(trained.stdout.match(/validation bound/g)?.length, 3);
	t.is(trained.stdout.match(/^sample \d:/gm)?.length, 3);
	t.regex(trained.stdout, /npx dllm-native sample --model runs\/a/);
	t.deepEqual((await readdir(path.join(cwd, 'runs/a'))).sort(), [
		'best',
		'config.json',
		'data.json',
		'latest',
		'metrics.jsonl',
		'step-20',
	]);

	const metrics = parseLines(await readFile(path.join(cwd, 'runs/a/metrics.jsonl'), 'utf8'));
	t.deepEqual(
		metrics.map(({kind, step}) => `${kind} ${step}`),
		[
			...Array.from({length: 10}, (_, index) => `step ${index + 1}`),
			'eval 10',
			...Array.from({length: 10}, (_, index) => `step ${index + 11}`),
			'eval 20',
		],
	);

	const sampled = await runCli(
		['sample', '--prompt', 'the cat', '--length', '8', '--steps', '4', '--seed', '1', '--json'],
		{cwd},
	);
	t.is(sampled.code, 0);
	t.is(sampled.stderr, 'using the newest run, runs/a\n');
	const [sample] = parseLines(sampled.stdout);
	t.like(sample, {prompt: 'the cat', forwardPasses: 4, tokensPerForward: 2});
	t.is((sample!.tokens as number[]).length, 8);
	const plain = await runCli(
		['sample', '--model', 'runs/a', '--prompt=the cat', '--length=8', '--steps=4', '--seed=1'],
		{cwd},
	);
	t.is(plain.stdout, `the cat${sample!.text as string}\n`);

	const evaluated = await runCli(
		['eval', '--model', 'runs/a', '--input', 'text.txt', '--eval-batches', '2', '--json'],
		{cwd},
	);
	const [bound] = parseLines(evaluated.stdout);
	t.deepEqual(Object.keys(bound!), ['nll', 'bitsPerToken', 'perplexity', 'standardError']);
	t.is(bound!.nll, metrics.at(-1)!.nll);
	t.deepEqual(parseLines((await runCli(['eval', '--eval-batches=2', '--json'], {cwd})).stdout)[0], bound);

	const resumed = await runCli(['train', '--resume', 'runs/a', '--steps', '30'], {cwd});
	t.is(resumed.code, 0, resumed.stderr);
	t.regex(resumed.stdout, /continuing after step 20/);
	t.is((await readFile(path.join(cwd, 'runs/a/latest'), 'utf8')).trim(), 'step-30');
	const elsewhere = await runCli(
		['train', '--resume', 'runs/a/step-20', '--steps', '22', '--out', 'runs/b', '--json'],
		{cwd},
	);
	t.is(elsewhere.code, 0, elsewhere.stderr);
	t.like(parseLines(elsewhere.stdout)[0], {folder: 'runs/b', completedSteps: 20});
	const done = await runCli(['train', '--resume', 'runs/a'], {cwd});
	t.is(done.code, 0);
	t.regex(done.stderr, /has completed its 30 steps/);
});

for (const [name, exitCode] of [
	['SIGINT', 130],
	['SIGTERM', 143],
] as const) {
	test.serial(`${name} saves, exits with ${exitCode}, and the resumed run equals one that never stopped`, async t => {
		const cwd = await textFolder(t);
		const flags = ['--steps', '600', '--eval-every', '0'];
		const stopped = await runCli(train('--out', 'stopped', '--json', ...flags), {
			cwd,
			signal: {name, after: '"step":3,'},
		});
		t.is(stopped.code, exitCode, stopped.stderr);
		t.regex(stopped.stderr, /saved step \d+ to stopped; to continue: npx dllm-native train --resume stopped/);
		const {kind, step} = parseLines(stopped.stdout).at(-1)!;
		t.is(kind, 'interrupted');
		t.true((step as number) >= 3 && (step as number) < 600, `${step}`);
		t.is((await runCli(['train', '--resume', 'stopped'], {cwd})).code, 0);

		t.is((await runCli(train('--out', 'straight', ...flags), {cwd})).code, 0);
		for (const file of ['model.safetensors', 'trainer/optimizer.safetensors']) {
			const [a, b] = await Promise.all(
				['stopped', 'straight'].map(run => readFile(path.join(cwd, run, 'step-600', file))),
			);
			t.true(a!.equals(b!), file);
		}

		const losses = async (run: string) =>
			parseLines(await readFile(path.join(cwd, run, 'metrics.jsonl'), 'utf8')).map(({step, loss}) => [step, loss]);
		t.deepEqual(await losses('stopped'), await losses('straight'));
	});
}

test.serial('a second Ctrl-C exits at once, and the folder can be used again', async t => {
	const cwd = await textFolder(t);
	// an evaluation of minutes, in which the first Ctrl-C waits
	const args = train('--out', 'run', '--eval-every', '1', '--eval-batches', '1000000');
	const {code} = await runCli(args, {cwd, signal: {name: 'SIGINT', after: 'step    1/', again: 900}});
	t.is(code, 130);
	t.false((await readdir(path.join(cwd, 'run'))).includes('latest'));
	t.is((await runCli(train('--out', 'run', '--steps', '1'), {cwd})).code, 0);
});

test.serial('--json prints JSON lines and nothing else', async t => {
	const cwd = await textFolder(t);
	const {code, stdout, stderr} = await runCli(train('--out', 'run', '--steps', '3', '--json'), {cwd});
	t.is(code, 0);
	t.is(stderr, '');
	const lines = parseLines(stdout);
	t.deepEqual(
		lines.map(({kind}) => kind),
		['start', 'step', 'step', 'step', 'eval', 'end'],
	);
	t.is((lines.at(-1)!.samples as string[]).length, 3);
	const watched = await runCli(['sample', '--model', 'run', '--watch', '--json', '--length=4', '--steps=2'], {cwd});
	t.deepEqual(
		parseLines(watched.stdout).map(({step}) => step),
		[1, 2, undefined],
	);
});

test.serial('flags win over the config file, which wins over the preset', async t => {
	const cwd = await textFolder(t);
	const model = {layers: 1, heads: 2, width: 16, contextLength: 8};
	const config = {
		input: 'text.txt',
		out: 'run',
		preset: 'baby',
		steps: 2,
		batchSize: 3,
		evalBatches: 1,
		model,
		objective: {minTime: 0.2},
	};
	await writeFile(path.join(cwd, 'config.json'), JSON.stringify(config));
	const {code, stderr} = await runCli(
		['train', '--config', 'config.json', '--batch_size', '5', '--random-length-fraction', '0'],
		{cwd},
	);
	t.is(code, 0, stderr);
	t.like(await readJson(cwd, 'run', 'config.json'), {
		model: {layers: 1, width: 16, contextLength: 8},
		train: {
			steps: 2,
			batchSize: 5,
			learningRate: 1e-3,
			objective: {kind: 'masked', minTime: 0.2, randomLengthFraction: 0},
		},
	});
});

test.serial('a wrong key in the config file is named, with the nearest that exists', async t => {
	const cwd = await textFolder(t);
	await writeFile(path.join(cwd, 'config.json'), '{"batchsize": 3}');
	const {code, stderr} = await runCli(train('--out', 'run', '--config', 'config.json'), {cwd});
	t.is(code, 1);
	t.regex(stderr, /^error: config\.json: unknown key "batchsize"\. Did you mean "batchSize"\?/);
	await writeFile(path.join(cwd, 'config.json'), '{"model": {"layers": "two"}}');
	const wrong = await runCli(train('--out', 'run', '--config', 'config.json'), {cwd});
	t.regex(wrong.stderr, /config\.json: model\.layers is "two"; accepted: an integer/);
});

test.serial('without a network and without a text, the built-in corpus is used and said', async t => {
	const cwd = await textFolder(t);
	const {code, stdout, stderr} = await runCli(['train', '--out', 'run', '--steps', '2', ...tinyFlags], {
		cwd,
		env: {DLLM_SHAKESPEARE_URL: 'http://127.0.0.1:1/'},
	});
	t.is(code, 0, stderr);
	t.regex(stderr, /cannot download http:\/\/127\.0\.0\.1:1\/.*\n.*training on the built-in corpus/);
	t.regex(stdout, /data: the built-in corpus/);
	t.is((await runCli(['eval', '--model', 'run', '--eval-batches', '1'], {cwd})).code, 0);
});

test.serial('a folder that holds something else is left alone', async t => {
	const cwd = await textFolder(t);
	await mkdir(path.join(cwd, 'mine'));
	await writeFile(path.join(cwd, 'mine', 'notes.txt'), 'mine');
	const foreign = await runCli(train('--out', 'mine'), {cwd});
	t.is(foreign.code, 1);
	t.regex(foreign.stderr, /mine is not empty and holds no run; choose another --out/);
	t.deepEqual(await readdir(path.join(cwd, 'mine')), ['notes.txt']);
	const file = await runCli(train('--out', 'text.txt/run'), {cwd});
	t.is(file.code, 1);
	t.regex(file.stderr, /^error: .*text\.txt/);
});

test.serial('data that does not fit is refused before the first step', async t => {
	const cwd = await textFolder(t);
	const short = await runCli(train('--out', 'run', '--context-length', '200'), {cwd});
	t.regex(short.stderr, /held-out tenth of text\.txt has 96 tokens; accepted: at least the context length, 200/);
	t.is((await runCli(train('--out', 'run', '--steps', '1'), {cwd})).code, 0);
	await writeFile(path.join(cwd, 'other.txt'), 'ZEBRA '.repeat(50));
	const foreign = await runCli(['eval', '--model', 'run', '--input', 'other.txt'], {cwd});
	t.is(foreign.code, 1);
	t.regex(foreign.stderr, /the character "Z" \(U\+005A\) at position 0 is not among/);
	await writeFile(path.join(cwd, 'text.txt'), `${tinyText} and more`.toLowerCase());
	const changed = await runCli(['train', '--resume', 'run', '--steps', '2'], {cwd});
	t.is(changed.code, 1);
	t.regex(changed.stderr, /has changed since the run was trained on it/);
});

test.serial('a prepared dataset trains, and the run knows it', async t => {
	const cwd = await textFolder(t);
	t.is((await runCli(['prepare', 'text.txt', '--tokenizer', 'byte', '--out', 'bytes'], {cwd})).code, 0);
	const {code, stderr} = await runCli(['train', '--data', 'bytes', '--out', 'run', '--steps', '2', ...tinyFlags], {
		cwd,
	});
	t.is(code, 0, stderr);
	t.like(await readJson(cwd, 'run', 'data.json'), {data: {kind: 'folder', path: path.join(cwd, 'bytes')}});
	t.is((await runCli(['eval', '--model', 'run', '--eval-batches', '1'], {cwd})).code, 0);
	t.is((await runCli(['prepare', 'text.txt', '--out', 'chars'], {cwd})).code, 0);
	const other = await runCli(['eval', '--model', 'run', '--data', 'chars'], {cwd});
	t.is(other.code, 1);
	t.regex(other.stderr, /encoded with another tokenizer \(char, \d+ ids\) than the model's \(byte, 257 ids\)/);
});

test.serial('a reader that goes away ends the run quietly, with what was learned saved', async t => {
	const cwd = await textFolder(t);
	const {code, stderr} = await runCli(train('--out', 'run', '--steps', '2000'), {cwd, closeAfter: 200});
	t.is(code, 0);
	t.notRegex(stderr, /EPIPE|Error/);
	t.regex(await readFile(path.join(cwd, 'run', 'latest'), 'utf8'), /^step-\d+\n$/);
});
