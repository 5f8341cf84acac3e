// Whether a disk has room for what is about to be written.
import {statfs} from 'node:fs/promises';
import path from 'node:path';
import {DataError} from '../errors.js';
import {type ErrorClass, exists} from './file.js';

/**
 * Refuses to begin what cannot be finished.
 *
 * @param target What will be written; it need not exist yet.
 * @throws `Failure` saying how many bytes are needed and how many are free.
 */
export async function checkSpace(target: string, bytes: number, Failure: ErrorClass = DataError): Promise<void> {
	let folder = path.resolve(target);
	while (!(await exists(folder)) && folder !== path.dirname(folder)) folder = path.dirname(folder);
	const {bavail, blocks, bsize} = await statfs(folder);
	const free = bavail * bsize;
	if (blocks === 0 || bytes <= free) return; // some file systems of networks do not say how large they are
	throw new Failure(`cannot write ${target}: it needs ${formatSize(bytes)}, ${formatSize(free)} free`);
}

function formatSize(bytes: number): string {
	const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
	const unit = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
	return `${unit === 0 ? bytes : (bytes / 2 ** (10 * unit)).toFixed(1)} ${units[unit]}`;
}
