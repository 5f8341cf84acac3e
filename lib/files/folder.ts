// Builds a folder beside its target and renames it into place, so that a crash leaves the old or the new one.
import {lstat, readdir, rename} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {DataError} from '../errors.js';
import {type ErrorClass, exists, makeFolder, syncPath} from './file.js';
import {checkSpace} from './space.js';
import {changeTime, discard, isAbandoned, parseTemporary, temporarySibling} from './temporary.js';

export type WriteFolderOptions = {
	/** Whether an existing folder is replaced. @default false */
	readonly overwrite?: boolean;
	/** A folder that is replaced must hold one of these files, unless it is empty: no foreign folder is ever deleted. */
	readonly markers?: readonly string[];
	/** About what it will take on the disk: nothing is begun without room for it. */
	readonly bytes?: number;
	/** Class of the errors thrown. @default DataError */
	readonly error?: ErrorClass;
};

/** How long another writer may take between its two renames. */
const RENAMES_MS = 2000;

/**
 * Builds a folder beside its target, flushes everything in it to the disk and renames it into place; an old folder is
 * moved aside first and removed last. When anything fails the old folder is back, the temporary is gone, and the error
 * is thrown. A crash between the two renames leaves the old folder aside: `recoverFolder` puts it back, and the next
 * call does so too and clears away what killed writers left. One writer per target at a time.
 *
 * @param build Fills the temporary folder whose path it gets.
 * @throws `options.error` when the target exists and may not be replaced, or has no room, before `build` is called.
 */
export async function writeFolderAtomic(
	target: string,
	options: WriteFolderOptions,
	build: (temporary: string) => Promise<void>,
): Promise<void> {
	const folder = path.resolve(target);
	await recoverFolder(folder);
	await checkReplaceable(folder, options);
	await clearRemains(path.dirname(folder), base => base === path.basename(folder));
	if (options.bytes !== undefined) await checkSpace(folder, options.bytes, options.error);
	const temporary = temporarySibling(folder, 'tmp');
	try {
		await makeFolder(temporary);
		await build(temporary);
		await syncFolder(temporary);
		const replaces = await checkReplaceable(folder, options); // again: building takes time
		await install(temporary, folder, replaces);
	} catch (error) {
		await discard(temporary);
		throw error;
	}
}

/**
 * Puts back the folder that a crash of `writeFolderAtomic` left aside: when the target is missing and `target.old-…` exists.
 *
 * @returns Whether a folder was put back.
 */
export async function recoverFolder(target: string): Promise<boolean> {
	const folder = path.resolve(target);
	const deadline = performance.now() + RENAMES_MS;
	while (!(await exists(folder))) {
		const newest = await newestAside(folder);
		if (newest === undefined) return false;
		if ((await isAbandoned(newest)) || performance.now() > deadline) {
			await rename(newest, folder);
			await syncPath(path.dirname(folder));
			return true;
		}

		await setTimeout(10);
	}

	return false;
}

/** The last folder that was moved aside; an older one is the remains of an earlier crash. */
async function newestAside(folder: string): Promise<string | undefined> {
	let newest: {name: string; time: number} | undefined;
	for (const {name, base, kind} of await listTemporaries(path.dirname(folder))) {
		if (kind !== 'old' || base !== path.basename(folder)) continue;
		const time = await changeTime(name);
		if (Number.isFinite(time) && time > (newest?.time ?? 0)) newest = {name, time};
	}

	return newest?.name;
}

/**
 * Removes what killed writers have left in a folder, of the files and folders whose names `isOurs` accepts. A folder that
 * was moved aside and has no successor is left for `recoverFolder`.
 */
export async function clearRemains(parent: string, isOurs: (base: string) => boolean): Promise<void> {
	for (const {name, base, kind} of await listTemporaries(parent)) {
		if (!isOurs(base) || !(await isAbandoned(name))) continue;
		if (kind === 'tmp' || (await exists(path.join(parent, base)))) await discard(name);
	}
}

async function listTemporaries(parent: string): Promise<{name: string; base: string; kind: 'tmp' | 'old'}[]> {
	if (!(await exists(parent))) return [];
	return (await readdir(parent)).flatMap(entry => {
		const temporary = parseTemporary(entry);
		return temporary ? [{name: path.join(parent, entry), base: temporary.base, kind: temporary.kind}] : [];
	});
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
	{overwrite = false, markers, error: Failure = DataError}: WriteFolderOptions,
): Promise<boolean> {
	if (!(await exists(folder))) return false;
	if (!overwrite) throw new Failure(`${folder} exists already; it is replaced only with overwrite`);
	if (!(await lstat(folder)).isDirectory()) throw new Failure(`${folder} is not a folder; it is not replaced`);
	const names = await readdir(folder);
	if (markers !== undefined && names.length > 0 && !names.some(name => markers.includes(name))) {
		throw new Failure(`${folder} holds no ${markers[0]}, so it is not what would be replaced; choose another folder`);
	}

	return true;
}

/** Renames a folder into place. When that fails, or cannot be made lasting, everything is put back. */
async function install(temporary: string, folder: string, replaces: boolean): Promise<void> {
	const aside = temporarySibling(folder, 'old');
	const undo: (() => Promise<void>)[] = [];
	try {
		if (replaces) {
			await rename(folder, aside);
			undo.push(() => rename(aside, folder));
		}

		await rename(temporary, folder);
		undo.push(() => rename(folder, temporary));
		await syncPath(path.dirname(folder)); // before the old one is gone for good
	} catch (error) {
		for (const step of undo.reverse()) await step();
		throw error;
	}

	if (replaces) await discard(aside);
}
