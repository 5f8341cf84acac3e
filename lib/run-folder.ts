// A run folder: step-N/ checkpoints, and the small files `latest` and `best` that name one each.
import {readdir, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {isCheckpoint, readSmallFile, toJson, writeCheckpointFolder, writing} from './checkpoint.js';
import {show} from './config/check.js';
import {CheckpointError} from './errors.js';
import {describeCause, exists, makeFolder, recoverFolder, temporarySibling, writeFileAtomic} from './files.js';
import {readTrainerState} from './trainer-state.js';

const stepName = /^step-(\d{1,15})$/;

/**
 * The checkpoint folder that a source names: itself, or the latest of a run folder.
 * @throws CheckpointError when there is none.
 */
export async function resolveCheckpoint(source: string): Promise<string> {
	if (typeof source !== 'string' || source === '') {
		throw new CheckpointError(`the checkpoint is ${show(source)}; accepted: the path of a checkpoint or run folder`);
	}

	await recoverFolder(source);
	const stats = await stat(source).catch((cause: unknown) => {
		throw new CheckpointError(
			`no checkpoint at ${source}: ${describeCause(cause)}; names of a model hub are not downloaded`,
			{cause},
		);
	});
	if (!stats.isDirectory())
		throw new CheckpointError(`${source} is not a folder; accepted: a checkpoint or run folder`);
	const latest = await readPointer(source, 'latest');
	return latest === undefined ? source : findStep(source, latest);
}

/** The name in `latest` or `best`, or undefined when the run folder has no such file. */
async function readPointer(runFolder: string, pointer: 'latest' | 'best'): Promise<string | undefined> {
	const file = path.join(runFolder, pointer);
	if (!(await exists(file))) return undefined;
	const name = await readSmallFile(file, 64);
	if (stepName.test(name)) return name;
	throw new CheckpointError(`${file} is ${show(name)}; accepted: the name of a checkpoint, such as step-100`);
}

async function findStep(runFolder: string, name: string): Promise<string> {
	const folder = path.join(runFolder, name);
	await recoverFolder(folder);
	if (await exists(folder)) return folder;
	const others = (await listSteps(runFolder)).join(', ') || 'none';
	throw new CheckpointError(
		`${path.join(runFolder, 'latest')} names ${name}, which is missing; checkpoints there: ${others}`,
	);
}

/** The names of a run folder's checkpoints, newest first. */
async function listSteps(runFolder: string): Promise<string[]> {
	const names = (await readdir(runFolder)).filter(name => stepName.test(name));
	return names.sort((a, b) => stepOf(b) - stepOf(a));
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
	/** Fills the temporary folder whose path it gets. */
	readonly build: (temporary: string) => Promise<void>;
};

/**
 * Adds a checkpoint to a run folder, which is made if it does not exist. `latest` is replaced only when everything else
 * is on the disk, and old checkpoints are removed after that: a crash at any moment leaves one that can be resumed.
 *
 * @throws CheckpointError when it cannot be written.
 */
export async function addCheckpoint(
	runFolder: string,
	{step, nll, keep, description, build}: RunCheckpoint,
): Promise<void> {
	if (await isCheckpoint(runFolder)) {
		throw new CheckpointError(`${runFolder} is a checkpoint, not a run folder; choose another folder`);
	}

	const name = `step-${step}`;
	await writing(runFolder, () => makeFolder(runFolder));
	await writeCheckpointFolder(path.join(runFolder, name), true, build);
	await writing(runFolder, async () => {
		await writeFileAtomic(path.join(runFolder, 'config.json'), toJson(description));
		if (nll !== undefined && nll <= (await bestNll(runFolder)))
			await writeFileAtomic(path.join(runFolder, 'best'), `${name}\n`);
		await writeFileAtomic(path.join(runFolder, 'latest'), `${name}\n`);
		await removeOld(runFolder, name, keep);
	});
}

/** Infinity when there is no best checkpoint, or someone removed it. */
async function bestNll(runFolder: string): Promise<number> {
	const best = await readPointer(runFolder, 'best');
	if (best === undefined || !(await exists(path.join(runFolder, best)))) return Number.POSITIVE_INFINITY;
	const {evaluation} = await readTrainerState(path.join(runFolder, best));
	return evaluation?.nll ?? Number.POSITIVE_INFINITY;
}

async function removeOld(runFolder: string, latest: string, keep: number): Promise<void> {
	const kept = new Set([latest, await readPointer(runFolder, 'best')]);
	const steps = await listSteps(runFolder);
	for (const name of steps.slice(0, keep)) kept.add(name);
	for (const name of steps.filter(step => !kept.has(step))) {
		// renamed first: a crash while it is removed must not leave a part of it under its name
		const aside = temporarySibling(path.join(runFolder, name), 'tmp');
		await rename(path.join(runFolder, name), aside);
		await rm(aside, {recursive: true, force: true});
	}
}
