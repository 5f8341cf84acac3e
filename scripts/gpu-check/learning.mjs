// The command line learns on the GPU what it learns on a CPU: the nano preset to the CPU's bound.
import {existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {root} from '../files.mjs';
import {Failure, runOrFail} from '../run.mjs';

/** Nats per character of tiny shakespeare's held-out tenth after 1500 steps on the CPU in float32. */
const CPU_BOUND = 2.3178;

/** How far from it the GPU's may be, as a part of it. */
const TOLERANCE = 0.02;

/** Nats per character above the exact value of the built-in corpus, as in the slow tests. */
const MAX_GAP = 0.15;

/** Of a run that learns nothing yet. */
const tiny = ['--steps', '3', '--batch-size', '2', '--layers', '1', '--context-length', '16', '--eval-batches', '1'];

const shared = process.env.DLLM_SHARED ?? path.join(root, '..', 'shared');
const text = path.join(shared, 'data', 'tinyshakespeare.txt');

/** Of the corpus that is trained on; the built-in one needs none. */
function corpusFlags({dryRun, builtIn}) {
	if (builtIn) return [];
	if (existsSync(text)) return ['--input', text];
	if (dryRun) return [];
	throw new Failure(
		`${text} is not there; DLLM_SHARED names the folder of data/, --built-in takes the built-in corpus`,
	);
}

async function train(context, device, dtype, folder) {
	const {built, dryRun} = context;
	const input = corpusFlags(context);
	const flags = ['--preset', 'nano', '--device', device, '--dtype', dtype, '--json', ...(dryRun ? tiny : [])];
	const args = [built.cli, 'train', ...input, ...flags, '--out', path.join(folder, device.replace(':', ''))];
	const env = {...built.env, DLLM_SHAKESPEARE_URL: 'http://127.0.0.1:1/'};
	const stdout = await runOrFail(`train on ${device}`, process.execPath, args, {env, cwd: folder});
	const lines = stdout
		.trim()
		.split('\n')
		.map(line => JSON.parse(line));
	if (lines[0].device !== device || lines[0].dtype !== dtype) {
		throw new Failure(`it trained on ${lines[0].device} in ${lines[0].dtype}`, lines[0]);
	}

	const {evaluation, seconds, samples} = lines.at(-1);
	return {nll: evaluation.nll, seconds, sample: samples?.[0]};
}

async function exactGap({built}, run, device, dtype) {
	const args = [built.cli, 'eval', '--model', run, '--device', device, '--dtype', dtype, '--json'];
	const stdout = await runOrFail('eval', process.execPath, args, {env: built.env});
	return JSON.parse(stdout.trim().split('\n')[0]).exact.gap;
}

async function compare(context, dtype, folder) {
	const {nll, seconds, sample} = await train(context, 'cuda:0', dtype, folder);
	const figures = {nll, trainSeconds: seconds, text: {sample}};
	if (context.builtIn && !context.dryRun) {
		const gap = await exactGap(context, path.join(folder, 'cuda0'), 'cuda:0', dtype);
		Object.assign(figures, {corpus: 'built-in', gap, mostGap: MAX_GAP});
		if (!(Math.abs(gap) <= MAX_GAP))
			throw new Failure(`${gap} nats from the exact value, accepted ${MAX_GAP}`, figures);
		return figures;
	}

	// Runs of a few steps have no bound known beforehand.
	const expected = context.dryRun ? (await train(context, 'cpu', 'float32', folder)).nll : CPU_BOUND;
	Object.assign(figures, {corpus: corpusFlags(context).length > 0 ? 'tiny shakespeare' : 'built-in', cpu: expected});
	figures.difference = nll / expected - 1;
	if (!(Math.abs(figures.difference) <= TOLERANCE)) {
		throw new Failure(`${nll} nats per character, the CPU's are ${expected}`, figures);
	}

	return figures;
}

export async function checkLearning(context, dtype) {
	const folder = await mkdtemp(path.join(tmpdir(), 'dllm-gpu-check-'));
	try {
		return await compare(context, dtype, folder);
	} finally {
		await rm(folder, {recursive: true, force: true});
	}
}
