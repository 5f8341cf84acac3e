// Reads and writes single files, so that a crash leaves the old or the new content, and what all file work shares.
import {constants} from 'node:fs';
import {lstat, mkdir, open, rename, stat} from 'node:fs/promises';
import path from 'node:path';
import type {DllmError} from '../errors.js';
import {discard, temporarySibling} from './temporary.js';

/** The class of the errors a caller's users expect: `CheckpointError` for a checkpoint, `DataError` for a dataset. */
export type ErrorClass = new (message: string, options?: ErrorOptions) => DllmError;

/** Flags to read a file that may be anything: opening a named pipe must not wait for somebody to write into it. */
export const READ_ANY = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Replaces a file in one step: a temporary sibling is written, flushed to the disk and renamed over it. When anything
 * fails the file has its old or its new content, the temporary is gone, and the system's error (`ENOSPC`, …) is thrown.
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
		await discard(temporary);
		throw error;
	}

	await syncPath(path.dirname(file));
}

/** The content of a regular file that is not larger than `maxBytes`. Throws the system's error, or one that says why not. */
export async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
	const handle = await open(file, READ_ANY);
	try {
		const stats = await handle.stat();
		if (!stats.isFile()) throw new Error('it is not a regular file');
		if (stats.size > maxBytes) throw new Error(`it has ${stats.size} bytes, more than the ${maxBytes} allowed`);
		return await handle.readFile();
	} finally {
		await handle.close();
	}
}

/**
 * Creates a folder and its missing parents, so that a crash does not lose them again. Node's own recursive mkdir never
 * returns for some paths (below /proc).
 */
export async function makeFolder(folder: string): Promise<void> {
	const parent = path.dirname(path.resolve(folder));
	try {
		await mkdir(folder);
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
		if (code !== 'ENOENT' || (await exists(parent))) throw error;
		await makeFolder(parent);
		await mkdir(folder);
	}

	await syncPath(parent);
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

/** Flushes a file's content, or the names in a folder, to the disk. */
export async function syncPath(target: string): Promise<void> {
	const handle = await open(target, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}
