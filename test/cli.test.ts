// The command line without training: help, exit codes, messages, info and prepare.
import {existsSync} from 'node:fs';
import {cp, mkdir, readdir, readFile, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import test from 'ava';
import {packageRoot, parseLines, runCli, textFolder, tinyFlags} from './support/cli.js';
import {temporaryFolder} from './support/folders.js';

const commands = ['prepare', 'train', 'sample', 'eval', 'bench', 'info', 'build'];

test.serial('--help lists every command and loads none of them', async t => {
	const coverage = await temporaryFolder(t);
	const {code, stdout, stderr} = await runCli(['--help'], {env: {NODE_V8_COVERAGE: coverage}});
	t.is(code, 0);
	t.is(stderr, '');
	for (const command of commands) t.regex(stdout, new RegExp(`^ {2}${command} `, 'm'));
	const [report] = await readdir(coverage);
	const {result} = JSON.parse(await readFile(path.join(coverage, report!), 'utf8')) as {result: {url: string}[]};
	const loaded = result.map(({url}) => url).filter(url => url.startsWith('file:'));
	t.true(loaded.some(url => url.endsWith('/lib/cli/main.js')));
	t.deepEqual(
		loaded.filter(url => /\/node_modules\/zod|\/lib\/(config|native|tokenizer|trainer)|\/cli\/train/.test(url)),
		[],
	);
});

for (const command of commands) {
	test.serial(`${command} --help describes itself`, async t => {
		const {code, stdout, stderr} = await runCli([command, '--help']);
		t.is(code, 0);
		t.is(stderr, '');
		t.regex(stdout, new RegExp(`^Usage: dllm-native ${command}`));
		t.is((await runCli(['help', command])).stdout, stdout);
	});
}

test.serial('every key of a config is a flag, in every spelling', async t => {
	const {stdout} = await runCli(['train', '--help']);
	for (const flag of ['steps', 'batch-size', 'learning-rate-schedule', 'betas', 'save-keep', 'min-time', 'kv-heads']) {
		t.regex(stdout, new RegExp(`^ {2}--${flag} <`, 'm'));
	}

	const {stderr} = await runCli(['train', '--batch_size', 'many']);
	t.regex(stderr, /--batch-size .*'many' is invalid\. It takes an integer from 1 to/);
	t.regex((await runCli(['train', '--batch_size=0'])).stderr, /--batch-size .*'0' is invalid/);
	t.regex((await runCli(['train', '--batchSize=0'])).stderr, /--batch-size .*'0' is invalid/);
	t.regex(
		(await runCli(['train', '--learningRateSchedule', 'up'])).stderr,
		/--learning-rate-schedule .*'up' is invalid/,
	);
	t.regex((await runCli(['train', '--batchSise', '3'])).stderr, /unknown option '--batchSise'/);
});

test.serial('--version prints the version of the package', async t => {
	const {version} = JSON.parse(await readFile(path.join(packageRoot, 'package.json'), 'utf8')) as {version: string};
	const {code, stdout} = await runCli(['--version']);
	t.is(code, 0);
	t.is(stdout, `${version}\n`);
});

const usageErrors: readonly (readonly [string, readonly string[], RegExp])[] = [
	['no command', [], /Usage: dllm-native/],
	['an unknown command', ['trian'], /unknown command 'trian'\n.*Did you mean train\?/],
	['an unknown flag', ['train', '--batch-sise', '3'], /unknown option '--batch-sise'\n.*Did you mean --batch-size\?/],
	['a flag without its value', ['train', '--steps'], /--steps <integer>' argument missing/],
	['a value out of range', ['train', '--min-time', '1'], /It takes a number above 0 and below 1/],
	['a list of the wrong length', ['train', '--betas', '0.9'], /It takes a list of 2/],
	['a value that is no choice', ['train', '--preset', 'huge'], /Allowed choices are nano,/],
	['a device that does not exist', ['eval', '--device', 'gpu'], /It takes auto, cpu or cuda:N/],
	['flags that do not fit together', ['train', '--objective', 'next_token', '--min-time', '0.1'], /minTime/],
	['two sources of data', ['train', '--input', 'a', '--data', 'b'], /--input and --data exclude each other/],
	['a resumed run with another model', ['train', '--resume', 'a', '--layers', '3'], /keeps its preset, its model/],
	['a watched batch', ['sample', '--watch', '--count', '2'], /--watch shows one text/],
	['a missing argument', ['prepare'], /missing required argument 'source'/],
];

for (const [title, args, message] of usageErrors) {
	test.serial(`exits with 2: ${title}`, async t => {
		const {code, stdout, stderr} = await runCli(args, {cwd: await temporaryFolder(t)});
		t.is(code, 2);
		t.is(stdout, '');
		t.regex(stderr, message);
	});
}

test.serial('a failure is one line; DLLM_DEBUG adds the stack', async t => {
	const cwd = await temporaryFolder(t);
	const args = ['train', '--input', 'missing.txt', '--out', 'run'];
	const {code, stdout, stderr} = await runCli(args, {cwd});
	t.is(code, 1);
	t.is(stdout, '');
	t.is(stderr, 'error: cannot read missing.txt: it does not exist\n');
	t.deepEqual(await readdir(cwd), []);
	t.regex((await runCli(args, {cwd, env: {DLLM_DEBUG: '1'}})).stderr, /DataError: .*\n +at /);
});

for (const [title, failure] of [
	['an error that no command catches', "throw new Error('lost')"],
	['a rejected promise that nobody waits for', "void Promise.reject(new Error('lost'))"],
] as const) {
	test.serial(`${title} is one line`, async t => {
		const preload = path.join(await temporaryFolder(t), 'preload.mjs');
		await writeFile(
			preload,
			`const {stdout} = process;
			const write = stdout.write;
			stdout.write = (...args) => {
				setImmediate(() => { ${failure}; });
				return write.apply(stdout, args);
			};`,
		);
		const env = {NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`};
		const {code, stderr} = await runCli(['info', '--json'], {env});
		t.is(code, 1);
		t.is(stderr, 'error: lost\n');
		t.regex((await runCli(['info'], {env: {...env, DLLM_DEBUG: '1'}})).stderr, /^error: lost\nError: lost\n +at /);
	});
}

const fullDevice = '/dev/full';
const testFull = existsSync(fullDevice) ? test.serial : test.serial.skip;

for (const args of [['info'], ['info', '--json'], ['--help']]) {
	testFull(`output that cannot be written is one line: ${args.join(' ')}`, async t => {
		const {code, stderr} = await runCli(args, {outputFile: fullDevice});
		t.is(code, 1);
		t.is(stderr, 'error: cannot write standard output: no space left on the device\n');
	});
}

test.serial('a text that is not UTF-8 is refused, and taken as bytes', async t => {
	const cwd = await temporaryFolder(t);
	await writeFile(path.join(cwd, 'latin1.txt'), Buffer.from('caf\u00E9 '.repeat(100), 'latin1'));
	const args = ['train', '--input', 'latin1.txt', '--out', 'run', '--steps', '1', ...tinyFlags];
	const {code, stderr} = await runCli(args, {cwd});
	t.is(code, 1);
	t.regex(stderr, /latin1\.txt is not UTF-8 text; --tokenizer byte takes any file/);
	t.is((await runCli([...args, '--tokenizer', 'byte'], {cwd})).code, 0);
});

test.serial('info prints what it knows as text and as one JSON object', async t => {
	const {code, stdout, stderr} = await runCli(['info', '--json'], {env: {DLLM_THREADS: '1'}});
	t.is(code, 0);
	t.is(stderr, '');
	const [info, ...others] = parseLines(stdout);
	t.is(others.length, 0);
	t.like(info, {
		node: process.version,
		threads: 1,
		addon: {loaded: true, problem: null},
		environment: {DLLM_THREADS: '1'},
	});
	t.is((info!.devices as {device: string}[])[0]!.device, 'cpu');
	t.regex((await runCli(['info'])).stdout, /compiler .*\n.*CUDA (on|off): /);
});

test.serial('without an addon, info works and says what to run, and training says it too', async t => {
	const root = await temporaryFolder(t);
	await mkdir(path.join(root, 'dist'));
	await cp(path.join(packageRoot, 'dist', 'lib'), path.join(root, 'dist', 'lib'), {recursive: true});
	await cp(path.join(packageRoot, 'package.json'), path.join(root, 'package.json'));
	await symlink(path.join(packageRoot, 'node_modules'), path.join(root, 'node_modules'));
	const program = path.join(root, 'dist', 'lib', 'cli', 'main.js');
	const info = await runCli(['info', '--json'], {program});
	t.is(info.code, 0);
	t.like(parseLines(info.stdout)[0], {addon: {loaded: false, build: null}, devices: []});
	t.regex(info.stdout, /npx dllm-native build/);
	const cwd = await textFolder(t);
	const train = await runCli(['train', '--input', 'text.txt'], {program, cwd});
	t.is(train.code, 1);
	t.regex(train.stderr, /^error: .*has not been built.*\n.*npx dllm-native build/);
});

test.serial('build finds the addon current', async t => {
	const {code, stderr} = await runCli(['build']);
	t.is(code, 0);
	t.regex(stderr, /up to date/);
});

test.serial('prepare makes a dataset, and refuses to replace one', async t => {
	const cwd = await textFolder(t);
	const {code, stdout} = await runCli(['prepare', 'text.txt', '--json'], {cwd});
	t.is(code, 0);
	t.like(parseLines(stdout)[0], {folder: 'data/text', tokenizer: 'char', trainTokens: 864, valTokens: 96});
	t.deepEqual((await readdir(path.join(cwd, 'data/text'))).sort(), ['meta.json', 'train.bin', 'val.bin']);
	const again = await runCli(['prepare', 'text.txt'], {cwd});
	t.is(again.code, 1);
	t.regex(again.stderr, /already holds train\.bin/);
	t.is((await runCli(['prepare', 'text.txt', '--overwrite', '--tokenizer=byte'], {cwd})).code, 0);
});

test.serial('prepare shakespeare_char says what to do without a network', async t => {
	const cwd = await temporaryFolder(t);
	const {code, stderr} = await runCli(['prepare', 'shakespeare_char'], {
		cwd,
		env: {DLLM_SHAKESPEARE_URL: 'http://127.0.0.1:1/'},
	});
	t.is(code, 1);
	t.regex(stderr, /cannot download .* Without a network, give a local copy of the text as input/);
});
