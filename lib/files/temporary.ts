// Names of files and folders that are being written. They say who writes them, so that what a killed writer left can be
// told from work in progress.
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {lstat, rm} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

/** `tmp`: being built, or being removed. `old`: moved aside while its successor is renamed into place. */
export type TemporaryKind = 'tmp' | 'old';

/** A temporary, by its name. */
export type Temporary = {
	/** The name of what it is to become, or was. */
	readonly base: string;
	readonly kind: TemporaryKind;
	readonly pid: number;
	readonly host: string;
	readonly start: string;
};

// NAME.tmp-PID-HHHHSSSSRRRR: who writes it (process id, host, when the process started) and a random part
const namePattern =
	/^(?<base>.+)\.(?<kind>tmp|old)-(?<pid>\d{1,10})-(?<host>[0-9a-f]{4})(?<start>[0-9a-f]{4})[0-9a-f]{4}$/s;

const hostTag = tag(os.hostname());
const unknownStart = '0000';
const startTag = processStart(process.pid) ?? unknownStart;

/** Nobody writes one checkpoint for as long as this. */
const ABANDONED_MS = 24 * 3600 * 1000;

/** Temporaries of this process that could not be removed. */
const left = new Set<string>();

/** A name beside `target` that no other writer uses. */
export function temporarySibling(target: string, kind: TemporaryKind): string {
	return `${target}.${kind}-${process.pid}-${hostTag}${startTag}${randomBytes(2).toString('hex')}`;
}

/** What a name says, or undefined when it is not one of a temporary. */
export function parseTemporary(name: string): Temporary | undefined {
	const groups = namePattern.exec(name)?.groups;
	if (!groups) return undefined;
	const {base, kind, pid, host, start} = groups as Record<keyof Temporary, string>;
	return {base, kind: kind as TemporaryKind, pid: Number(pid), host, start};
}

/** Whether nobody is writing a temporary any more. One of another host is left alone for a day: it cannot be known. */
export async function isAbandoned(file: string, now = Date.now()): Promise<boolean> {
	const writer = parseTemporary(path.basename(file));
	if (!writer) return false;
	if (left.has(path.resolve(file))) return true;
	if (writer.host === hostTag && !isRunning(writer)) return true;
	return now - (await changeTime(file)) > ABANDONED_MS;
}

/** When a temporary was last changed, in milliseconds; Infinity when its writer has just removed or renamed it. */
export async function changeTime(file: string): Promise<number> {
	try {
		return (await lstat(file)).ctimeMs;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Number.POSITIVE_INFINITY;
		throw error;
	}
}

/** Removes a temporary. One that cannot be removed now is no failure of what was written: the next write tries again. */
export async function discard(temporary: string): Promise<void> {
	try {
		await rm(temporary, {recursive: true, force: true});
		left.delete(path.resolve(temporary));
	} catch (error) {
		left.add(path.resolve(temporary));
		process.emitWarning(`cannot remove ${temporary}, which is not needed any more: ${(error as Error).message}`, {
			code: 'DLLM_TEMPORARY_LEFT',
		});
	}
}

function isRunning({pid, start}: Temporary): boolean {
	try {
		process.kill(pid, 0);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false; // EPERM: it runs, as somebody else
	}

	const found = processStart(pid);
	return found === undefined || start === unknownStart || found === start; // else the id was given to a new process
}

/** When a process started, as a tag; undefined where /proc does not say. */
function processStart(pid: number): string | undefined {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22; the name in field 2 may hold spaces
		return ticks === undefined ? undefined : tag(ticks);
	} catch {
		return undefined;
	}
}

function tag(text: string): string {
	const hex = createHash('sha256').update(text).digest('hex').slice(0, 4);
	return hex === '0000' ? 'ffff' : hex; // the other is taken
}
