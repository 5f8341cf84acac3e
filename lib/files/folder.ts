// Builds a folder beside its target and renames it into place, so that a crash leaves the old or the new one.
import {lstat, readdir, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {DataError} from '../errors.js';
import {type ErrorClass, exists, makeFolder, syncPath, temporarySibling} from './file.js';

export type WriteFolderOptions = {
	/** Whether an existing folder is replaced. @default false */
	readonly overwrite?: boolean;
	/** A file that a folder must contain, unless it is empty, to be replaced: no foreign folder is ever deleted. */
	readonly marker?: string;
	/** Class of the errors thrown. @default DataError */
	readonly error?: ErrorClass;
};

/**
 * Builds a folder beside its target, flushes everything in it to the disk and renames it into place; an old folder is
 * moved aside first and removed last. When anything fails the old folder is back, the temporary is gone, and the error
 * is thrown. A crash between the two renames leaves the old folder aside: `recoverFolder` puts it back, and the next
 * call does so too and clears away what killed writers left. One writer per target at a time.
 *
 * @param build Fills the temporary folder whose path it gets.
 * @throws `options.error` when the target exists and may not be replaced, before `build` is called.
 */
export async function writeFolderAtomic(
	target: string,
	options: WriteFolderOptions,
	build: (temporary: string) => Promise<void>,
): Promise<void> {
	const folder = path.resolve(target);
	await recoverFolder(folder);
	await checkReplaceable(folder, options);
	await removeRemains(folder);
	const temporary = temporarySibling(folder, 'tmp');
	await makeFolder(temporary);
	try {
		await build(temporary);
		await syncFolder(temporary);
		const replaces = await checkReplaceable(folder, options); // again: building takes time
		if (replaces) await replaceFolder(temporary, folder);
		else await rename(temporary, folder);
	} catch (error) {
		await rm(temporary, {recursive: true, force: true});
		throw error;
	}

	await syncPath(path.dirname(folder));
}

/**
 * Puts back the folder that a crash of `writeFolderAtomic` left aside: when the target is missing and `target.old-…` exists.
 *
 * @returns Whether a folder was put back.
 */
export async function recoverFolder(target: string): Promise<boolean> {
	const folder = path.resolve(target);
	if (await exists(folder)) return false;
	const asides: {name: string; time: number}[] = [];
	for (const {name, kind} of await listSiblings(folder)) {
		if (kind === 'old') asides.push({name, time: (await lstat(name)).ctimeMs});
	}

	const newest = asides.sort((a, b) => b.time - a.time).at(0); // an older one is the remains of an earlier crash
	if (!newest) return false;
	await rename(newest.name, folder);
	await syncPath(path.dirname(folder));
	return true;
}

async function syncFolder(folder: string): Promise<void> {
	for (const entry of await readdir(folder, {withFileTypes: true})) {
		const child = path.join(folder, entry.name);
		if (entry.isDirectory()) await syncFolder(child);
		else if (entry.isFile()) await syncPath(child);
	}

	await syncPath(folder);
}

/** Whether there is something to replace. */
async function checkReplaceable(
	folder: string,
	{overwrite = false, marker, error: Failure = DataError}: WriteFolderOptions,
): Promise<boolean> {
	if (!(await exists(folder))) return false;
	if (!overwrite) throw new Failure(`${folder} exists already; it is replaced only with overwrite`);
	if (!(await lstat(folder)).isDirectory()) throw new Failure(`${folder} is not a folder; it is not replaced`);
	const names = await readdir(folder);
	if (marker !== undefined && names.length > 0 && !names.includes(marker)) {
		throw new Failure(`${folder} holds no ${marker}, so it is not what would be replaced; choose another folder`);
	}

	return true;
}

async function replaceFolder(temporary: string, folder: string): Promise<void> {
	const aside = temporarySibling(folder, 'old');
	await rename(folder, aside);
	try {
		await rename(temporary, folder);
	} catch (error) {
		await rename(aside, folder);
		throw error;
	}

	await syncPath(path.dirname(folder)); // before the old one is gone for good
	await rm(aside, {recursive: true, force: true});
}

/** What writers of a folder have left beside it, by the names of `temporarySibling`. */
async function listSiblings(folder: string): Promise<{name: string; kind: 'tmp' | 'old'; pid: number}[]> {
	const parent = path.dirname(folder);
	if (!(await exists(parent))) return [];
	const base = path.basename(folder);
	return (await readdir(parent)).flatMap(name => {
		const match = name.startsWith(base) ? /^\.(tmp|old)-(\d+)-[0-9a-f]{12}$/.exec(name.slice(base.length)) : null;
		if (!match) return [];
		return [{name: path.join(parent, name), kind: match[1] as 'tmp' | 'old', pid: Number(match[2])}];
	});
}

/** Removes what killed writers of this folder have left beside it. */
async function removeRemains(folder: string): Promise<void> {
	for (const {name, pid} of await listSiblings(folder)) {
		if (!isRunning(pid)) await rm(name, {recursive: true, force: true});
	}
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code !== 'ESRCH'; // EPERM: it runs, as somebody else
	}
}
