// Writes a file so that a crash leaves the old or the new content, and the small things that all file work shares.
import {randomBytes} from 'node:crypto';
import {lstat, mkdir, open, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import type {DllmError} from '../errors.js';

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
