// `dllm-native bench` and the parts of the comparison with tfjs that need no tfjs; with it installed, tfjs as an oracle.
import {existsSync} from 'node:fs';
import {cp, mkdir, readFile, symlink} from 'node:fs/promises';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import test from 'ava';
import {Model} from '../lib/model.js';
import {Sampler} from '../lib/sampler.js';
import {packageRoot, parseLines, runCli} from './support/cli.js';
import {temporaryFolder} from './support/folders.js';

const scripts = path.join(packageRoot, 'scripts', 'bench');
const importScript = (name: string): Promise<unknown> => import(pathToFileURL(path.join(scripts, name)).href);

test('without tfjs, bench says how to install it and exits with 2', async t => {
	const root = await temporaryFolder(t);
	await cp(path.join(packageRoot, 'dist', 'lib'), path.join(root, 'dist', 'lib'), {recursive: true});
	await cp(path.join(packageRoot, 'package.json'), path.join(root, 'package.json'));
	await mkdir(path.join(root, 'scripts'));
	const isOwn = (file: string) => path.basename(file) !== 'node_modules';
	await cp(scripts, path.join(root, 'scripts', 'bench'), {recursive: true, filter: isOwn});
	await symlink(path.join(packageRoot, 'node_modules'), path.join(root, 'node_modules'));
	const program = path.join(root, 'dist', 'lib', 'cli', 'main.js');
	const {code, stdout, stderr} = await runCli(['bench', '--against', 'tfjs'], {program, cwd: root});
	t.is(code, 2);
	t.is(stdout, '');
	t.regex(
		stderr,
		/^error: tfjs is not installed \(.*tfjs-core.*--install.*\n {2}npm install --prefix scripts\/bench\/tfjs\n$/,
	);
});

for (const [args, message] of [
	[['--against', 'torch'], /Allowed choices are tfjs/],
	[['--sizes', 'tiny,huge'], /--sizes has huge; accepted: all, tiny, small/],
	[['--backends', 'webgl'], /--backends has webgl; accepted: all, cpu, wasm/],
	[['--rounds', '0'], /--rounds is 0; accepted: an integer of at least 1/],
] as const) {
	test(`bench ${args.join(' ')} exits with 2`, async t => {
		const {code, stderr} = await runCli(['bench', ...args]);
		t.is(code, 2);
		t.regex(stderr, message);
	});
}

type FillCanvas = (
	predict: (canvas: Int32Array) => Promise<Float32Array>,
	request: {length: number; passes: number; vocabSize: number; maskTokenId: number},
) => Promise<{tokens: Int32Array; margin: number}>;

test("the peers' sampling loop fills in a canvas as our sampler does", async t => {
	const {fillCanvas} = (await importScript('tfjs/canvas.mjs')) as {fillCanvas: FillCanvas};
	const config = {
		family: 'gpt2',
		layers: 2,
		heads: 2,
		width: 32,
		contextLength: 24,
		vocabSize: 20,
		initStd: 0.3,
	} as const;
	const model = await Model.create(config, {device: 'cpu', seed: 3});
	const predict = async (tokens: Int32Array) => (await model.forward({tokens, batch: 1, length: tokens.length})).logits;
	for (const passes of [24, 8, 7, 1]) {
		const request = {length: 24, passes, vocabSize: 20, maskTokenId: model.config.maskTokenId};
		const {tokens} = await new Sampler(model, {length: 24, steps: passes}).sample();
		t.deepEqual((await fillCanvas(predict, request)).tokens, tokens, `${passes} passes`);
	}

	model.dispose();
});

test('the chart has a dot for every time, and says what did not run', async t => {
	const {chart} = (await importScript('against/chart.mjs')) as {chart: (report: unknown) => string};
	const times = (median: number) => ({median, lowest: median * 0.9, highest: median * 1.1, count: 3});
	const timed = (median: number) => ({
		milliseconds: times(median),
		ratio: {median: median / 50, lowest: 1, highest: 99},
	});
	const facts = {tfjs: '4.22.0', threads: 1};
	const peers = [
		{backend: 'wasm', variant: 'stock', facts, failure: 'Aborted <heap>'},
		{backend: 'wasm', variant: 'tuned', facts, train: timed(500), sample: timed(300)},
		{backend: 'webgpu', failure: 'not installed'},
	];
	const size = {name: 'small', layers: 4, width: 128, batch: 16, context: 64, samplePasses: 64, peers};
	const svg = chart({
		sizes: [{...size, train: times(50), sample: times(40)}],
		device: {processor: 'A & B', instructionSet: 'avx2'},
		node: 'v20',
		dllmNative: '0.1.0',
		date: '2030-01-01T00:00:00.000Z',
	});
	t.is(svg.match(/<circle/g)?.length, 4);
	t.regex(svg, />10×<.*>500 ms</);
	t.regex(svg, /Aborted &#60;heap&#62;/);
	t.regex(svg, /A &#38; B/);
	t.notRegex(svg, /webgpu|NaN|undefined|Infinity/);
});

type Check = {
	readonly sizes: readonly {
		readonly peers: readonly {
			readonly backend: string;
			readonly failure?: string;
			readonly agreement: {
				readonly loss: number;
				readonly gradients: number;
				readonly steps: number;
				readonly losses: number;
				readonly sample: {readonly equal: number; readonly length: number; readonly margin: number};
			};
		}[];
	}[];
};

const tfjs = path.join(scripts, 'tfjs', 'node_modules', '@tensorflow');
const withTfjs = existsSync(tfjs) ? test.serial : test.serial.skip;

withTfjs(
	'tfjs computes our loss, gradients, training steps and samples (needs npm install --prefix scripts/bench/tfjs)',
	async t => {
		const out = path.join(await temporaryFolder(t), 'check.json');
		const flags = ['--check', '--sizes', 'tiny', '--backends', 'cpu,wasm', '--json', '--out', out];
		const {code, stdout, stderr} = await runCli(['bench', ...flags]);
		t.is(code, 0, stderr);
		const [report] = parseLines(stdout) as [Check];
		t.deepEqual(JSON.parse(await readFile(out, 'utf8')), report);
		const {peers} = report.sizes[0]!;
		t.is(peers.length, 4);
		for (const {failure, agreement} of peers) {
			t.is(failure, undefined);
			t.true(agreement.loss <= 1e-4 && agreement.gradients <= 1e-4 && agreement.losses <= 1e-4);
			t.true(agreement.steps >= 3);
			t.true(agreement.sample.equal === agreement.sample.length || agreement.sample.margin < 1e-4);
		}
	},
);
