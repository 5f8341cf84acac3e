// Devices: what is listed, what `auto` takes and why, and how a device that cannot be used is refused, for each way in which
// CUDA can be missing. The module is opened once per process, so each case is a process.
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {type DeviceInfo, Model} from '../lib/index.js';
import {packageRoot, parseLines, runCli, tinyFlags} from './support/cli.js';
import {
	buildId,
	compileFakeDevices,
	compileOtherBuild,
	compileWithoutCublas,
	truncatedModule,
} from './support/cuda-modules.js';
import {rejects} from './support/expect.js';

type Report = {
	readonly devices: readonly DeviceInfo[];
	readonly auto: Readonly<Record<string, string>>;
	readonly refusals: Readonly<Record<string, {readonly name: string; readonly code: string; readonly message: string}>>;
};

const child = fileURLToPath(new URL('support/device-child.js', import.meta.url));
const builtModule = path.join(packageRoot, 'build', 'Release', 'libdllm_cuda.so');
const hasGpu = existsSync('/dev/nvidiactl') || existsSync('/proc/driver/nvidia/version');
const isBuilt = existsSync(builtModule);
const folder = mkdtempSync(path.join(os.tmpdir(), 'dllm-devices-'));
const fake = compileFakeDevices(folder);

test.after.always(() => rmSync(folder, {recursive: true, force: true}));

async function report(t: ExecutionContext, env: Readonly<Record<string, string>>): Promise<Report> {
	const {code, stdout, stderr} = await runCli(['cuda:0', 'cuda:7'], {program: child, env});
	t.is(code, 0, stderr);
	return JSON.parse(stdout) as Report;
}

/** Of a module that cannot be used: the CPU works, `auto` says why it is used, and GPUs are refused with the reason. */
async function checkUnusable(
	t: ExecutionContext,
	env: Readonly<Record<string, string>>,
	reason: RegExp,
	isFallback = true,
): Promise<Report> {
	const found = await report(t, env);
	const {devices, auto, refusals} = found;
	t.deepEqual(
		devices.map(({device, usable}) => [device, usable]),
		[
			['cpu', true],
			['cuda:0', false],
		],
	);
	t.regex(devices[1]!.reason!, reason);
	t.like(auto, {device: 'cpu', dtype: 'float32'});
	if (isFallback) t.is(auto.fallbackReason, `cuda:0 cannot be used: ${devices[1]!.reason}`);
	for (const refusal of Object.values(refusals)) {
		t.like(refusal, {name: 'DeviceError', code: 'ERR_DEVICE'});
		t.regex(refusal.message, reason);
		t.regex(refusal.message, /usable: "cpu"$/);
	}

	return found;
}

(isBuilt ? test.skip : test)('a build without a module', async t => {
	const {auto} = await checkUnusable(t, {}, /this build has no CUDA module: ./, hasGpu);
	t.is(auto.fallbackReason === undefined, !hasGpu);
});

(isBuilt ? test : test.skip)('the module of this build', async t => {
	const {devices} = await report(t, {});
	const gpu = devices[1]!;
	t.truthy(gpu.details.cublas);
	if (gpu.usable) return;
	await checkUnusable(t, {}, /there is no NVIDIA driver|driver is too old|CUDA/);
});

test('a module that is named but absent', async t => {
	const file = path.join(folder, 'absent.so');
	await checkUnusable(t, {DLLM_CUDA_MODULE: file}, /there is no CUDA module .*absent\.so; build it again/, hasGpu);
});

test('a truncated module', async t => {
	await checkUnusable(
		t,
		{DLLM_CUDA_MODULE: await truncatedModule(folder)},
		/cannot be opened: .*truncated\.so: file too short/,
	);
});

test('a module of another build', async t => {
	const id = await buildId();
	const reason = new RegExp(`other-build\\.so is of build another-build, this is build ${id}`);
	await checkUnusable(t, {DLLM_CUDA_MODULE: await compileOtherBuild(folder)}, reason);
});

test('a module whose cuBLAS has gone', async t => {
	await checkUnusable(
		t,
		{DLLM_CUDA_MODULE: await compileWithoutCublas(folder)},
		/cannot be opened: libcublasLt\.so\.13: /,
	);
});

test('a module that finds no device', async t => {
	const env = {
		DLLM_CUDA_MODULE: await fake,
		DLLM_FAKE_BUILD: await buildId(),
		DLLM_FAKE_PROBLEM: 'CUDA_VISIBLE_DEVICES is ""',
	};
	const {devices} = await checkUnusable(t, env, /CUDA_VISIBLE_DEVICES is ""/);
	t.deepEqual(devices[1]!.details, {
		module: env.DLLM_CUDA_MODULE,
		driver: 'CUDA 13.1',
		runtime: 'CUDA 13.0',
		cublas: '13.1.1',
		architectures: '80 90',
	});
	const info = await runCli(['info'], {env});
	t.regex(info.stdout, /^auto +cpu, because cuda:0 cannot be used: CUDA_VISIBLE_DEVICES is ""$/m);
	const {auto} = parseLines((await runCli(['info', '--json'], {env})).stdout)[0]!;
	t.deepEqual(auto, {device: 'cpu', fallbackReason: 'cuda:0 cannot be used: CUDA_VISIBLE_DEVICES is ""'});
});

test('devices of which only the last can be used', async t => {
	const {devices, auto, refusals} = await report(t, {DLLM_CUDA_MODULE: await fake, DLLM_FAKE_BUILD: await buildId()});
	t.deepEqual(devices.map(({device, name, reason}) => [device, name, reason]).slice(1), [
		['cuda:0', 'Old GPU', 'it is too old'],
		['cuda:1', 'Broken GPU', 'it does not answer'],
		['cuda:2', 'Fake GPU', null],
	]);
	t.like(devices[3], {usable: true, memory: 80 * 2 ** 30});
	t.is(devices[3]!.details.computeCapability, '9.0');
	// auto takes cuda:2, whose error comes through the module's seam with its type
	t.deepEqual(auto, {name: 'OutOfMemoryError', code: 'ERR_OUT_OF_MEMORY', message: 'the fake GPU has no memory'});
	t.regex(refusals['cuda:0']!.message, /"cuda:0" cannot be used: it is too old; usable: "cpu", "cuda:2"/);
	t.regex(refusals['cuda:7']!.message, /"cuda:7" cannot be used: there is no such device .*cuda:2 is Fake GPU/);
});

test('a training run says why it is on the CPU', async t => {
	const cwd = mkdtempSync(path.join(folder, 'run-'));
	const env = {DLLM_CUDA_MODULE: await fake, DLLM_FAKE_BUILD: await buildId(), DLLM_FAKE_PROBLEM: 'no driver'};
	const flags = ['train', ...tinyFlags, '--steps', '1'];
	const {code, stdout, stderr} = await runCli([...flags, '--out', 'a'], {cwd, env});
	t.is(code, 0, stderr);
	t.regex(stdout, /on cpu: .*\non the CPU because cuda:0 cannot be used: no driver\n/);
	const json = await runCli([...flags, '--out', 'b', '--json'], {cwd, env});
	t.like(parseLines(json.stdout)[0], {device: 'cpu', fallbackReason: 'cuda:0 cannot be used: no driver'});
	const chosen = await runCli([...flags, '--out', 'c', '--device', 'cpu'], {cwd, env});
	t.notRegex(chosen.stdout, /because/);
});

for (const device of ['gpu', 'cuda', 'cuda:', 'cuda:-1', 'cuda:01', 'cuda:1.5', 'CUDA:0', 0, null]) {
	test(`refuses the device ${JSON.stringify(device)}`, t =>
		rejects(t, () => Model.create('nano', {device: device as never, vocabSize: 8}), {
			code: 'ERR_CONFIG',
			message: /^device is .*; accepted: "auto", "cpu" or "cuda:N"/,
		}));
}
