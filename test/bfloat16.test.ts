// Models with products in bfloat16: they train as float32 ones do, their runs resume, and the choice of it is checked.
import path from 'node:path';
import test from 'ava';
import {listDevices} from '../lib/devices.js';
import {Model} from '../lib/model.js';
import {presets} from '../lib/presets.js';
import {Trainer} from '../lib/trainer.js';
import {parseLines, runCli, textFolder, tinyFlags} from './support/cli.js';
import {temporaryFolder} from './support/folders.js';
import {readTwinBatches, twinFolder} from './support/nano-twin.js';
import {checkResume} from './support/resume.js';
import {tinyModel} from './support/tiny.js';

/** The losses of the 50 steps that PyTorch takes too, and the weights after them. */
async function trainTwin(dtype: 'float32' | 'bfloat16'): Promise<{losses: number[]; weights: Float32Array}> {
	await using model = await Model.load(twinFolder, {dtype});
	await using trainer = new Trainer(model, presets.nano.train);
	const losses: number[] = [];
	for (const batch of await readTwinBatches(model.config.maskTokenId)) losses.push((await trainer.step(batch)).loss);
	return {losses, weights: await model.parameter(model.parameters()[0]!.name)};
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test.serial('the losses of 50 steps stay within 0.2 % of those in float32', async t => {
	const float32 = await trainTwin('float32');
	const bfloat16 = await trainTwin('bfloat16');
	t.is(bfloat16.losses.length, 50);
	for (const [step, loss] of bfloat16.losses.entries()) {
		const expected = float32.losses[step]!;
		t.true(Math.abs(loss / expected - 1) <= 0.002, `step ${step}: loss ${loss}, in float32 ${expected}`);
	}

	t.true(mean(bfloat16.losses.slice(-10)) < mean(bfloat16.losses.slice(0, 10)) - 0.3);
	t.notDeepEqual(bfloat16.weights, float32.weights);
	// not what float32 weights rounded to bfloat16 would be: the low bits are in use
	t.true(new Uint32Array(bfloat16.weights.buffer).some(bits => (bits & 0xffff) !== 0));
});

test.serial('resumed runs, and runs on 1, 2 and 4 threads, have the same bits; a run keeps its dtype', t =>
	checkResume(t, {kind: 'masked', dtype: 'bfloat16', threads: [1, 2, 4], count: 2}),
);

test('a model reports its dtype, and its weights are the same in either', async t => {
	const float32 = await Model.create(tinyModel, {seed: 3});
	const bfloat16 = await Model.create(tinyModel, {seed: 3, dtype: 'bfloat16'});
	t.is(float32.dtype, 'float32');
	t.is(bfloat16.dtype, 'bfloat16');
	for (const {name} of float32.parameters()) t.deepEqual(await bfloat16.parameter(name), await float32.parameter(name));

	const folder = path.join(await temporaryFolder(t), 'saved');
	await bfloat16.save(folder);
	t.is((await Model.load(folder)).dtype, 'float32');
	const loaded = await Model.load(folder, {dtype: 'bfloat16'});
	t.is(loaded.dtype, 'bfloat16');
	const batch = {tokens: Int32Array.of(0, 1, 2, 3, 4, 5), batch: 2, length: 3};
	const {logits} = await bfloat16.forward(batch);
	t.deepEqual((await loaded.forward(batch)).logits, logits);
	t.notDeepEqual((await float32.forward(batch)).logits, logits);
});

test('a resumed run can change its dtype', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const trainer = new Trainer(await Model.create(tinyModel, {dtype: 'bfloat16'}), {steps: 2});
	await trainer.save(folder);
	t.is((await Trainer.resume(folder)).model.dtype, 'bfloat16');
	t.is((await Trainer.resume(folder, {dtype: 'float32'})).model.dtype, 'float32');
});

test('the CPU says what multiplies in bfloat16', async t => {
	const cpu = (await listDevices()).find(({device}) => device === 'cpu');
	t.regex(String(cpu?.details.bfloat16), /^(amx|avx512_bf16|rounded)$/);
});

test.serial('DLLM_CPU_BFLOAT16 and DLLM_CPU choose it, and what there is not is refused', async t => {
	const cpuOf = async (env: Readonly<Record<string, string>>) => {
		const {stdout} = await runCli(['info', '--json'], {
			env: {DLLM_CPU_BFLOAT16: undefined, DLLM_CPU: undefined, ...env},
		});
		return (parseLines(stdout)[0]!.devices as {usable: boolean; reason: string; details: {bfloat16: string}}[])[0]!;
	};
	t.is((await cpuOf({DLLM_CPU_BFLOAT16: 'rounded'})).details.bfloat16, 'rounded');
	t.is((await cpuOf({DLLM_CPU: 'portable'})).details.bfloat16, 'rounded');
	const {usable, reason} = await cpuOf({DLLM_CPU_BFLOAT16: 'fp8'});
	t.false(usable);
	t.regex(reason, /DLLM_CPU_BFLOAT16: the kind of matrix products must be one of .*rounded on this CPU, got "fp8"/);
});

test.serial('the command line trains in bfloat16, continues in it, and evaluates and samples in either', async t => {
	const cwd = await textFolder(t);
	const flags = ['train', '--input', 'text.txt', ...tinyFlags, '--out', 'run', '--dtype', 'bfloat16'];
	const trained = await runCli([...flags, '--steps', '4'], {cwd});
	t.is(trained.code, 0, trained.stderr);
	t.regex(trained.stdout, /on cpu in bfloat16: /);
	const resumed = await runCli(['train', '--resume', 'run', '--steps', '6', '--json'], {cwd});
	t.is(resumed.code, 0, resumed.stderr);
	t.is(parseLines(resumed.stdout)[0]!.dtype, 'bfloat16');
	const evaluate = async (dtype: string) => {
		const {stdout} = await runCli(['eval', '--model', 'run', '--eval-batches', '2', '--json', '--dtype', dtype], {cwd});
		return parseLines(stdout)[0]!.nll as number;
	};
	const [float32, bfloat16] = [await evaluate('float32'), await evaluate('bfloat16')];
	t.not(bfloat16, float32);
	t.true(Math.abs(bfloat16 / float32 - 1) <= 0.02, `${bfloat16}, in float32 ${float32}`);
	const sampled = await runCli(['sample', '--model', 'run', '--length', '8', '--steps', '2', '--dtype', 'bfloat16'], {
		cwd,
	});
	t.is(sampled.code, 0, sampled.stderr);
	const refused = await runCli(['sample', '--model', 'run', '--dtype', 'float16'], {cwd});
	t.is(refused.code, 2);
	t.regex(refused.stderr, /--dtype.*float16.*float32, bfloat16/);
});
