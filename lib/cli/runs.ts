// Run folders as the command line names, finds and protects them.
import {readdir, stat} from 'node:fs/promises';
import path from 'node:path';
import {isCheckpoint, writing} from '../checkpoint.js';
import {CheckpointError} from '../errors.js';
import {exists, makeFolder} from '../files.js';
import {stepName} from '../run-folder.js';
import {UsageError} from './exit.js';
import {note} from './output.js';

const runsFolder = 'runs';

/** `runs/nano-20260131-235959`, by local time. */
export function defaultRunFolder(preset: string, now = new Date()): string {
	const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
	return path.join(runsFolder, `${preset}-${local.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}`);
}

/** What a run that ended before its first checkpoint leaves: nothing that could be lost. */
const remains = /^(data\.json|metrics\.jsonl|.+\.tmp-\d+-[0-9a-f]{12})$/;

/**
 * Refuses a folder for a new run that holds something already.
 * @throws CheckpointError
 */
export async function checkVacant(folder: string): Promise<void> {
	if (!(await exists(folder))) return;
	const names = await writing(folder, () => readdir(folder));
	if (names.every(name => remains.test(name))) return;
	// a kill between the two leaves a first checkpoint without `latest`; it can be resumed all the same
	if (names.some(name => name === 'latest' || stepName.test(name))) {
		throw new CheckpointError(
			`${folder} already holds a run; continue it with --resume ${folder}, or choose another --out`,
		);
	}

	throw new CheckpointError(`${folder} is not empty and holds no run; choose another --out`);
}

/** @throws CheckpointError when it cannot be made. */
export async function createRunFolder(folder: string): Promise<void> {
	await writing(folder, () => makeFolder(folder));
}

/**
 * The run folder that a run folder, or a checkpoint in one, belongs to.
 * @throws UsageError for a checkpoint that lies somewhere else.
 */
export async function runFolderOf(source: string): Promise<string> {
	if (!(await isCheckpoint(source))) return source;
	const parent = path.dirname(path.resolve(source));
	if (await exists(path.join(parent, 'latest'))) return path.relative('', parent) || '.';
	throw new UsageError(`${source} is a checkpoint outside of a run folder; say with --out where its run goes on`);
}

/**
 * The model that a command works with when none is named: the run in runs/ that was saved last, which is said.
 * @throws CheckpointError when there is none.
 */
export async function newestRun(): Promise<string> {
	const candidates: {folder: string; time: number}[] = [];
	const names = (await exists(runsFolder)) ? await readdir(runsFolder) : [];
	for (const name of names) {
		const folder = path.join(runsFolder, name);
		const latest = path.join(folder, 'latest');
		if (await exists(latest)) candidates.push({folder, time: (await stat(latest)).mtimeMs});
	}

	const newest = candidates.sort((a, b) => b.time - a.time).at(0);
	if (!newest)
		throw new CheckpointError(`there is no run in ${path.resolve(runsFolder)}; give a run or checkpoint with --model`);
	note(`using the newest run, ${newest.folder}`);
	return newest.folder;
}
