// The command line at work: train, sample, eval and resume, as a user runs them one after the other.
import {existsSync} from 'node:fs';
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
	// steps of seconds, the second of which the first Ctrl-C waits for
	const size = ['--layers=2', '--heads=8', '--width=768', '--context-length=96', '--batch-size=48'];
	const signal = {name: 'SIGINT', after: 'step    1/', again: 700} as const;
	const {code, stderr} = await runCli(train('--out', 'run', ...size), {cwd, signal});
	t.regex(stderr, /^Ctrl-C: finishing the step and saving; once more stops at once\n$/);
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

test.serial("a preset's warm-up keeps its share of the steps, unless it is given", async t => {
	const cwd = await textFolder(t);
	for (const [out, steps, flags] of [
		['share', 3, []],
		['given', 7, ['--warmup-steps', '7']],
	] as const) {
		const args = train('--out', out, '--preset', 'nano', '--steps', '60', '--eval-every', '0', ...flags);
		t.is((await runCli(args, {cwd})).code, 0);
		t.like(await readJson(cwd, out, 'config.json'), {train: {warmupSteps: steps}});
	}
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

test.serial('a text too short for two parts is named, with what it has and needs', async t => {
	const cwd = await textFolder(t);
	t.is((await runCli(train('--out', 'run', '--steps', '1'), {cwd})).code, 0);
	await writeFile(path.join(cwd, 'empty.txt'), '');
	await writeFile(path.join(cwd, 'one.txt'), 't');
	for (const args of [
		['train', '--out', 'new', ...tinyFlags],
		['train', '--resume', 'run', '--steps', '2'],
		['eval', '--model', 'run'],
	]) {
		const empty = await runCli([...args, '--input', 'empty.txt'], {cwd});
		t.is(empty.code, 1);
		t.is(empty.stderr, 'error: cannot read empty.txt: it is empty\n');
		const one = await runCli([...args, '--input', 'one.txt'], {cwd});
		t.is(one.code, 1);
		t.is(
			one.stderr,
			'error: the held-out tenth of one.txt has 1 token; accepted: at least the context length, 16 ' +
				'(a longer text, or a smaller --context-length)\n',
		);
		const single = await runCli([...args, '--input', 'one.txt', '--context-length', '1'], {cwd});
		t.is(single.code, 1);
		t.regex(single.stderr, /^error: the training part of one\.txt has 0 tokens; accepted: .*, 1 \(/);
	}

	t.false((await readdir(cwd)).includes('new'));
	t.is((await runCli(['prepare', 'text.txt', '--out', 'folder'], {cwd})).code, 0);
	const long = await runCli(['train', '--data', 'folder', '--out', 'new', '--context-length', '97'], {cwd});
	t.regex(long.stderr, /^error: the held-out tenth of folder has 96 tokens; accepted: .*, 97 \(/);
});

test.serial('a file and the dataset prepared from it hold out the same characters', async t => {
	const cwd = await textFolder(t);
	// tokens of very different lengths, and characters of one to four bytes: a tenth of one is not a tenth of another
	const text = `${'internationalization '.repeat(60)}${'\u{1F600}\u00E9 x1 '.repeat(70)}`;
	await writeFile(path.join(cwd, 'mixed.txt'), text);
	for (const kind of ['gpt2', 'char', 'byte']) {
		const prepared = await runCli(['prepare', 'mixed.txt', '--tokenizer', kind, '--out', `data-${kind}`, '--json'], {
			cwd,
		});
		t.is(prepared.code, 0, prepared.stderr);
		const flags = ['--steps', '1', ...tinyFlags, '--json'];
		const fromFolder = await runCli(['train', '--data', `data-${kind}`, '--out', `folder-${kind}`, ...flags], {cwd});
		const fromFile = await runCli(
			['train', '--input', 'mixed.txt', '--tokenizer', kind, '--out', `file-${kind}`, ...flags],
			{cwd},
		);
		t.is(fromFile.code, 0, fromFile.stderr);
		const losses = [fromFolder, fromFile].map(({stdout}) =>
			parseLines(stdout)
				.filter(({kind}) => kind === 'step' || kind === 'eval')
				.map(({loss, nll}) => loss ?? nll),
		);
		t.deepEqual(losses[0], losses[1], kind);
		const evaluated = await runCli(['eval', '--model', `file-${kind}`, '--input', 'mixed.txt'], {cwd});
		const heldOut = /\((\S+) tokens\)/.exec(evaluated.stdout)?.[1];
		t.is(heldOut, String(parseLines(prepared.stdout)[0]!.valTokens), kind);
	}
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

const fullDevice = '/dev/full';

(existsSync(fullDevice) ? test.serial : test.serial.skip)(
	'output that cannot be written ends a run as an error, with what was learned saved',
	async t => {
		const cwd = await textFolder(t);
		for (const flags of [[], ['--json']]) {
			const out = `run${flags.length}`;
			const {code, stderr} = await runCli(train('--out', out, '--steps', '2000', ...flags), {
				cwd,
				outputFile: fullDevice,
			});
			t.is(code, 1);
			t.regex(
				stderr,
				/^error: cannot write standard output: no space left on the device\nsaved step \d+ to \S+; to continue: .*\n$/,
			);
			t.regex(await readFile(path.join(cwd, out, 'latest'), 'utf8'), /^step-\d+\n$/);
		}

		for (const flags of [[], ['--watch'], ['--json']]) {
			const args = ['sample', '--model', 'run0', '--length=4', '--steps=2', ...flags];
			const {code, stderr} = await runCli(args, {cwd, outputFile: fullDevice});
			t.is(code, 1);
			t.is(stderr, 'error: cannot write standard output: no space left on the device\n');
		}
	},
);
