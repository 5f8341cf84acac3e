// What is measured on a GPU, tried on the emulated one: every benchmark writes its report. Some minutes on two cores.
import {execFile, spawnSync} from 'node:child_process';
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {temporaryFolder} from '../support/folders.js';

const program = fileURLToPath(new URL('../../../scripts/bench/main.mjs', import.meta.url));

type Report = {readonly failure?: string};

const ours = ['decode', 'kernels', 'sampling', 'startup'];
const besidePyTorch = ['memory', 'products', 'torch-baby', 'torch-cudnn', 'torch-flash'];
const hasPyTorch = spawnSync('python3', ['-c', 'import torch, safetensors, numpy']).status === 0;

async function bench(...args: readonly string[]): Promise<unknown> {
	return promisify(execFile)(process.execPath, [program, 'gpu', '--dry-run', ...args], {maxBuffer: 2 ** 28});
}

async function readReports(folder: string): Promise<Readonly<Record<string, Report>>> {
	const files = (await readdir(folder)).sort();
	const reports = files.map(async file => {
		const report = JSON.parse(await readFile(path.join(folder, file), 'utf8')) as Report;
		return [path.basename(file, '.json'), report] as const;
	});
	return Object.fromEntries(await Promise.all(reports));
}

test.serial(
	'every benchmark runs beside the emulated GPU, but for those that need PyTorch where it is not',
	async t => {
		const folder = await temporaryFolder(t);
		const running = bench('--out', folder, '--minutes', '60');
		if (hasPyTorch) await running;
		else t.is((await t.throwsAsync<Error & {code: number}>(running)).code, 1);
		const reports = await readReports(folder);
		t.deepEqual(Object.keys(reports), [...ours, ...besidePyTorch].sort());
		for (const [name, report] of Object.entries(reports)) {
			const fails = !hasPyTorch && besidePyTorch.includes(name);
			t.is(report.failure === undefined, !fails, `${name}: ${report.failure}`);
		}
	},
);

test.serial('a build that takes longer than the limit is ended, and nothing is measured', async t => {
	const folder = await temporaryFolder(t);
	const error = await t.throwsAsync<Error & {code: number}>(
		bench('--out', folder, '--only', 'kernels', '--minutes', '0.001'),
	);
	t.is(error.code, 1);
	t.regex(error.message, /building: ended after the limit of 0\.0 minutes/);
	t.deepEqual(await readReports(folder), {});
});
