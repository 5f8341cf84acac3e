// Writes files and folders so that a crash leaves the old or the new content; reads JSON with errors that say where.
import {isUtf8} from 'node:buffer';
import {randomBytes} from 'node:crypto';
import {lstat, mkdir, open, readdir, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {DataError, type DllmError} from './errors.js';
import {describeJsonError} from './files/json-error.js';

/** The class of the errors a caller's users expect: `CheckpointError` for a checkpoint, `DataError` for a dataset. */
export type ErrorClass = new (message: string, options?: ErrorOptions) => DllmError;

/**
 * Replaces a file in one step: a temporary sibling is written, flushed to the disk and renamed over it. When anything
 * fails the file is as it was, the temporary is gone, and the system's error (`ENOSPC`, `EACCES`, …) is thrown.
 */
export async function writeFileAtomic(file: string, data: string | Uint8Array): Promise<void> {
	const temporary = temporarySibling(file, 'tmp');
	try {
		const handle = await open(temporary, 'wx');
		try {
			await handle.writeFile(data);
			await handle.sync();
		} finally {
			await handle.close();
		}

		await rename(temporary, file);
	} catch (error) {
		await rm(temporary, {force: true});
		throw error;
	}

	await syncPath(path.dirname(file));
}

/** Creates a folder and its missing parents. Node's own recursive mkdir never returns for some paths (below /proc). */
export async function makeFolder(folder: string): Promise<void> {
	try {
		await mkdir(folder);
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
		const parent = path.dirname(path.resolve(folder));
		if (code !== 'ENOENT' || (await exists(parent))) throw error;
		await makeFolder(parent);
		await mkdir(folder);
	}
}

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

/**
 * Reads and parses a JSON file.
 *
 * @param what What the file is to the user, such as `dataset description`.
 * @throws `options.error` (default `DataError`) naming the file when it is missing, not a regular file, larger than
 * `maxBytes` (default 64 MiB), not UTF-8, or not JSON; the last with line and column.
 */
export async function readJsonFile(
	file: string,
	what: string,
	{maxBytes = 2 ** 26, error: Failure = DataError}: {readonly maxBytes?: number; readonly error?: ErrorClass} = {},
): Promise<unknown> {
	const bytes = await readBounded(file, maxBytes).catch((cause: unknown) => {
		throw new Failure(`cannot read ${file} (${what}): ${describeCause(cause)}`, {cause});
	});
	if (!isUtf8(bytes)) throw new Failure(`${file} (${what}) is not UTF-8 text`);
	const text = bytes.toString('utf8').replace(/^\uFEFF/, ''); // some editors begin a file with a byte order mark
	try {
		return JSON.parse(text);
	} catch (cause) {
		throw new Failure(`${file} (${what}) is not valid JSON: ${describeJsonError(text) ?? describeCause(cause)}`, {
			cause,
		});
	}
}

/** What went wrong with a file, in few words. */
export function describeCause(cause: unknown): string {
	if (!(cause instanceof Error)) return String(cause);
	const {code} = cause as NodeJS.ErrnoException;
	if (code === 'ENOENT') return 'it does not exist';
	if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
	if (code === 'ENOSPC') return 'no space left on the device';
	return cause.message;
}

/** Whether anything, even a broken link, stands at a path. */
export async function exists(target: string): Promise<boolean> {
	try {
		await lstat(target);
		return true;
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'ENOENT' || code === 'ENOTDIR') return false; // also when a part of the path is a file
		throw error;
	}
}

/** A name beside `target` that no other writer uses. */
export function temporarySibling(target: string, kind: 'tmp' | 'old'): string {
	return `${target}.${kind}-${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** Flushes a file's content, or the names in a folder, to the disk. */
export async function syncPath(target: string): Promise<void> {
	const handle = await open(target, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
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

async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
	const handle = await open(file, 'r');
	try {
		const stat = await handle.stat();
		if (!stat.isFile()) throw new Error('it is not a regular file');
		if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, more than the ${maxBytes} allowed`);
		return await handle.readFile();
	} finally {
		await handle.close();
	}
}
