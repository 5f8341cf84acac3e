// A run folder: step-N/ checkpoints, and the small files `latest` and `best` that name one each.
import {readdir, rename, stat} from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import {isCheckpoint, readSmallFile, toJson, writeCheckpointFolder, writing} from './checkpoint.js';
import {show} from './config/check.js';
import {CheckpointError} from './errors.js';
import {
	clearRemains,
	describeCause,
	discard,
	exists,
	makeFolder,
	parseTemporary,
	recoverFolder,
	temporarySibling,
	writeFileAtomic,
} from './files.js';
import {verifyManifest} from './manifest.js';
import {readTrainerState} from './trainer-state.js';

/** Of a checkpoint in a run folder. */
export const stepName = /^step-(\d{1,15})$/;

/** Everything that is written into a run folder, by us or by the command line. */
const ownName = /^(?:step-\d{1,15}|latest|best|config\.json|data\.json|metrics\.jsonl)$/;

/**
 * The checkpoint folder that a source names: itself, or the latest of a run folder. Its files are checked against its
 * manifest. When the latest is missing or damaged, the newest other one that is whole is taken, with a warning that names
 * both (its code is `DLLM_CHECKPOINT_FALLBACK`).
 *
 * @throws CheckpointError when there is none, naming each file that is wrong and what is wrong with it.
 */
export async function resolveCheckpoint(source: string): Promise<string> {
	if (typeof source !== 'string' || source === '') {
		throw new CheckpointError(`the checkpoint is ${show(source)}; accepted: the path of a checkpoint or run folder`);
	}

	try {
		await recoverFolder(source);
		await checkFolder(source);
		if (await isRunFolder(source)) return await findWhole(source);
		await verifyManifest(source);
		return source;
	} catch (cause) {
		if (cause instanceof CheckpointError) throw cause;
		throw new CheckpointError(`cannot read ${source}: ${describeCause(cause)}`, {cause});
	}
}

async function checkFolder(source: string): Promise<void> {
	const stats = await stat(source).catch((cause: unknown) => {
		throw new CheckpointError(
			`no checkpoint at ${source}: ${describeCause(cause)}; names of a model hub are not downloaded`,
			{cause},
		);
	});
	if (!stats.isDirectory())
		throw new CheckpointError(`${source} is not a folder; accepted: a checkpoint or run folder`);
}

/** Also one whose `latest` was never written, or was lost. */
async function isRunFolder(folder: string): Promise<boolean> {
	if (await exists(path.join(folder, 'latest'))) return true;
	return !(await isCheckpoint(folder)) && (await listSteps(folder)).length > 0;
}

/** The latest checkpoint of a run folder, or the first other one that is whole. A run that goes on may change both. */
async function findWhole(runFolder: string): Promise<string> {
	const problems = new Map<string, string>();
	for (;;) {
		const {name: latest, problem} = await readPointer(runFolder, 'latest');
		const steps = await listSteps(runFolder);
		const name = inOrder(steps, latest).find(candidate => !problems.has(candidate));
		const found = [...(problem === undefined ? [] : [problem]), ...problems.values()].join('; ');
		if (name === undefined) {
			const others = steps.join(', ') || 'none';
			throw new CheckpointError(`${runFolder} has no checkpoint that is whole: ${found}; checkpoints there: ${others}`);
		}

		try {
			await checkStep(runFolder, name, latest);
		} catch (error) {
			if (!(error instanceof CheckpointError)) throw error;
			problems.set(name, error.message);
			continue;
		}

		if (name !== latest) {
			const message = `${found}; using ${path.join(runFolder, name)} instead`;
			process.emitWarning(message, {code: 'DLLM_CHECKPOINT_FALLBACK'});
		}

		return path.join(runFolder, name);
	}
}

/** The latest, then those before it, newest first, then those after it, which it may have been started from again. */
function inOrder(steps: readonly string[], latest: string | undefined): string[] {
	if (latest === undefined) return [...steps];
	const others = steps.filter(name => name !== latest);
	const isBefore = (name: string) => stepOf(name) < stepOf(latest);
	return [latest, ...others.filter(isBefore), ...others.filter(name => !isBefore(name))];
}

async function checkStep(runFolder: string, name: string, latest: string | undefined): Promise<void> {
	const folder = path.join(runFolder, name);
	await recoverFolder(folder);
	if (!(await exists(folder))) {
		const pointer = name === latest ? `${path.join(runFolder, 'latest')} names ` : '';
		throw new CheckpointError(`${pointer}${name}, which is missing`);
	}

	if ((await verifyManifest(folder)) || (await isCheckpoint(folder))) return;
	throw new CheckpointError(`${folder} holds no model.safetensors`);
}

/** What `latest` or `best` says: a name, or what is wrong with it; nothing for a `best` that does not exist. */
async function readPointer(
	runFolder: string,
	pointer: 'latest' | 'best',
): Promise<{readonly name?: string; readonly problem?: string}> {
	const file = path.join(runFolder, pointer);
	if (!(await exists(file))) return pointer === 'best' ? {} : {problem: `${file} is missing`};
	try {
		return {name: parsePointer(await readSmallFile(file, 64), file)};
	} catch (error) {
		if (error instanceof CheckpointError) return {problem: error.message};
		throw error;
	}
}

/**
 * The name of a checkpoint that the content of `latest` or `best` is.
 * @throws CheckpointError naming the file, when it is none.
 */
export function parsePointer(text: string, file: string): string {
	const name = text.trim();
	if (stepName.test(name)) return name;
	throw new CheckpointError(`${file} is ${show(name)}; accepted: the name of a checkpoint, such as step-100`);
}

/** The names of a run folder's checkpoints, newest first, with those that a crash left aside while they were replaced. */
async function listSteps(runFolder: string): Promise<string[]> {
	const names = (await readdir(runFolder)).map(name => {
		const temporary = parseTemporary(name);
		return temporary?.kind === 'old' ? temporary.base : name;
	});
	return [...new Set(names)].filter(name => stepName.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

function stepOf(name: string): number {
	return Number(stepName.exec(name)?.[1]);
}

/** What `addCheckpoint` writes. */
export type RunCheckpoint = {
	readonly step: number;
	/** Validation bound of this step, in nats per token, if it was measured. */
	readonly nll: number | undefined;
	/** Newest checkpoints that stay, beside the best. */
	readonly keep: number;
	/** What the run's config.json says. */
	readonly description: unknown;
	/** About what the checkpoint takes on the disk: without room for it nothing is written. */
	readonly bytes?: number;
	/** Fills the temporary folder whose path it gets. */
	readonly build: (temporary: string) => Promise<void>;
};

/**
 * Adds a checkpoint to a run folder, which is made if it does not exist. `latest` is replaced only when everything else
 * is on the disk, and old checkpoints are removed after that: a crash at any moment leaves one that can be resumed. What
 * killed writers have left is cleared away first.
 *
 * @returns The checkpoint's folder.
 * @throws CheckpointError when it cannot be written.
 */
export async function addCheckpoint(
	runFolder: string,
	{step, nll, keep, description, bytes, build}: RunCheckpoint,
): Promise<string> {
	if (await isCheckpoint(runFolder)) {
		throw new CheckpointError(`${runFolder} is a checkpoint, not a run folder; choose another folder`);
	}

	const name = `step-${step}`;
	await writing(runFolder, async () => {
		await makeFolder(runFolder);
		for (const aside of await listSteps(runFolder)) await recoverFolder(path.join(runFolder, aside));
		await clearRemains(runFolder, base => ownName.test(base));
	});
	await writeCheckpointFolder(path.join(runFolder, name), true, build, bytes);
	await writing(runFolder, async () => {
		await writeFileAtomic(path.join(runFolder, 'config.json'), toJson(description));
		if (nll !== undefined && nll <= (await bestNll(runFolder)))
			await writeFileAtomic(path.join(runFolder, 'best'), `${name}\n`);
		await writeFileAtomic(path.join(runFolder, 'latest'), `${name}\n`);
		await removeOld(runFolder, name, keep);
	});
	return path.join(runFolder, name);
}

/** Infinity when there is no best checkpoint, someone removed it, or it cannot be read, which is said: saving must go on. */
async function bestNll(runFolder: string): Promise<number> {
	const {name, problem} = await readPointer(runFolder, 'best');
	try {
		if (problem !== undefined) throw new CheckpointError(problem);
		if (name === undefined || !(await exists(path.join(runFolder, name)))) return Number.POSITIVE_INFINITY;
		const {evaluation} = await readTrainerState(path.join(runFolder, name));
		return evaluation?.nll ?? Number.POSITIVE_INFINITY;
	} catch (error) {
		if (!(error instanceof CheckpointError)) throw error;
		process.emitWarning(`the best checkpoint is not known any more: ${error.message}`, {code: 'DLLM_BEST_UNREADABLE'});
		return Number.POSITIVE_INFINITY;
	}
}

/** Of a run that was continued from an earlier step, the checkpoints that are still ahead of it stay and do not count. */
async function removeOld(runFolder: string, latest: string, keep: number): Promise<void> {
	const {name: best} = await readPointer(runFolder, 'best');
	const steps = (await listSteps(runFolder)).filter(name => stepOf(name) <= stepOf(latest));
	for (const name of steps.slice(keep).filter(step => step !== latest && step !== best)) {
		// renamed first: a crash while it is removed must not leave a part of it under its name
		const aside = temporarySibling(path.join(runFolder, name), 'tmp');
		await rename(path.join(runFolder, name), aside);
		await discard(aside);
	}
}
