// manifest.json of a checkpoint: size and SHA-256 of every file in it, so that no damage goes unnoticed.
import {createHash} from 'node:crypto';
import {open, readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import {check, show} from './config/check.js';
import {CheckpointError} from './errors.js';
import {describeCause, READ_ANY, readBounded} from './files/file.js';
import {parseJson} from './files/json.js';

export const manifestFile = 'manifest.json';

const MAX_BYTES = 2 ** 22;
const MAX_FILES = 10_000;
const MAX_PATH = 1024;
const CHUNK_BYTES = 2 ** 20;

/** A file as the manifest describes it. */
type Entry = {readonly bytes: number; readonly sha256: string};

/** By path relative to the checkpoint, with `/` between its parts. */
export type Manifest = ReadonlyMap<string, Entry>;

const schema = z.strictObject({
	formatVersion: z.literal(1),
	files: z.record(
		z.string(),
		z.strictObject({
			bytes: z.int().min(0),
			sha256: z
				.string()
				.regex(/^[0-9a-f]{64}$/)
				.describe('64 hexadecimal digits'),
		}),
	),
});

/** Files that loading or resuming reads. One of these that the manifest does not list did not come from whoever saved it. */
const readByUs = /^(?:config\.json|tokenizer.*|.*\.safetensors|.*\.safetensors\.index\.json|trainer\/.*)$/s;

const advice = 'to use the folder as it is, remove its manifest.json';

/**
 * Writes the manifest of a checkpoint folder that is being built, after everything else in it.
 * @throws The system's errors.
 */
export async function writeManifest(folder: string): Promise<void> {
	const entries: [string, Entry][] = [];
	for (const name of await listFiles(folder)) entries.push([name, await describeFile(path.join(folder, name))]);
	await writeFile(path.join(folder, manifestFile), formatManifest(new Map(entries)), {flag: 'wx'});
}

/** The one text of a manifest: any other, even with the same content, is damaged. */
export function formatManifest(manifest: Manifest): string {
	const lines = [...manifest]
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([name, {bytes, sha256}]) => `\t\t${JSON.stringify(name)}: {"bytes": ${bytes}, "sha256": "${sha256}"}`);
	return `{\n\t"formatVersion": 1,\n\t"files": {\n${lines.join(',\n')}\n\t}\n}\n`;
}

/**
 * Reads the content of a manifest.json.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export function parseManifest(content: Buffer, file: string): Manifest {
	const fail = (message: string) => new CheckpointError(message);
	const value = parseJson(content, file, CheckpointError);
	// the names first, and from the value itself: they would be part of other messages, and a schema drops __proto__
	const names = Object.keys((value as {files?: object} | null)?.files ?? {});
	if (names.length > MAX_FILES) throw fail(`${file} lists ${names.length} files; accepted: at most ${MAX_FILES}`);
	for (const name of names) {
		if (!isPlainPath(name)) throw fail(`${file} lists ${show(name)}; accepted: paths of files below its folder`);
	}

	const {files} = check(schema, value, {name: file, fail});
	const manifest = new Map(Object.entries(files));
	if (!content.equals(Buffer.from(formatManifest(manifest)))) {
		throw fail(`${file} is not in the form in which it is written (sorted, a line for each file): it has been changed`);
	}

	return manifest;
}

function isPlainPath(name: string): boolean {
	if (name.length > MAX_PATH || name === manifestFile || /[\\\p{Cc}\p{Cs}]/u.test(name)) return false;
	return name.split('/').every(part => !['', '.', '..', '__proto__'].includes(part));
}

/**
 * Checks every file of a checkpoint against its manifest. What the manifest does not list may be there, unless it would be
 * read. A folder that has just been checked, and in which nothing was touched since, is not read again.
 *
 * @returns Whether the folder has a manifest; without one, as in a downloaded checkpoint, nothing is checked.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export async function verifyManifest(folder: string): Promise<boolean> {
	const file = path.join(folder, manifestFile);
	const content = await readBounded(file, MAX_BYTES).catch((cause: unknown) => {
		if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw new CheckpointError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	});
	if (content === undefined) return false;
	const manifest = readContent(content, file);
	await checkUnlisted(folder, manifest);
	const begin = Date.now();
	const states: FileState[] = [];
	for (const [name, entry] of manifest) states.push(await checkSize(path.join(folder, name), entry));
	const identity = [createHash('sha256').update(content).digest('hex'), ...states.map(state => state.identity)].join();
	if (isRemembered(folder, identity)) return true;
	for (const [name, entry] of manifest) await checkContent(path.join(folder, name), entry);
	if (states.every(({changedMs}) => changedMs < begin - CLOCK_MS)) remember(folder, identity);
	return true;
}

/** The file may be of somebody else's format: an error says how to go on without it. */
function readContent(content: Buffer, file: string): Manifest {
	try {
		return parseManifest(content, file);
	} catch (cause) {
		throw cause instanceof CheckpointError ? new CheckpointError(`${cause.message}; ${advice}`, {cause}) : cause;
	}
}

async function checkUnlisted(folder: string, manifest: Manifest): Promise<void> {
	const names = (await readdir(folder)).filter(name => name !== 'trainer');
	const trainer = await listFiles(folder, 'trainer').catch((cause: unknown) => {
		if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return [];
		throw cause;
	});
	const unlisted = [...names, ...trainer].find(name => readByUs.test(name) && !manifest.has(name));
	if (unlisted === undefined) return;
	throw new CheckpointError(`${path.join(folder, unlisted)} is not listed in ${manifestFile}; remove it, or ${advice}`);
}

/** What changes when a file is written to or replaced: device, number, size and times. */
type FileState = {readonly identity: string; readonly changedMs: number};

async function checkSize(file: string, {bytes}: Entry): Promise<FileState> {
	return reading(file, async () => {
		await using handle = await open(file, READ_ANY);
		const stats = await handle.stat({bigint: true});
		const {dev, ino, size, mtimeNs, ctimeNs} = stats;
		if (!stats.isFile()) throw new CheckpointError(`${file} is not a regular file`);
		if (size !== BigInt(bytes))
			throw new CheckpointError(`${file} has ${size} bytes; accepted: ${bytes}, as ${manifestFile} says; ${advice}`);
		return {identity: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedMs: Number(ctimeNs / 1_000_000n)};
	});
}

async function checkContent(file: string, expected: Entry): Promise<void> {
	const {bytes, sha256} = await reading(file, () => describeFile(file));
	if (bytes === expected.bytes && sha256 === expected.sha256) return;
	throw new CheckpointError(
		`${file} has changed since it was saved: its SHA-256 is ${sha256}, ${manifestFile} says ${expected.sha256}; ${advice}`,
	);
}

async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
	try {
		return await read();
	} catch (cause) {
		if (cause instanceof CheckpointError) throw cause;
		throw new CheckpointError(`cannot read ${file}, which ${manifestFile} lists: ${describeCause(cause)}`, {cause});
	}
}

/** Reads a whole file, in pieces that leave the event loop free between them. */
async function describeFile(file: string): Promise<Entry> {
	await using handle = await open(file, READ_ANY);
	const hash = createHash('sha256');
	let bytes = 0;
	for await (const chunk of handle.createReadStream({highWaterMark: CHUNK_BYTES, autoClose: false})) {
		hash.update(chunk as Buffer);
		bytes += (chunk as Buffer).length;
	}

	return {bytes, sha256: hash.digest('hex')};
}

/** Paths of all files below a folder, relative to it. */
async function listFiles(folder: string, below = ''): Promise<string[]> {
	const names: string[] = [];
	for (const entry of await readdir(path.join(folder, below), {withFileTypes: true})) {
		const name = below === '' ? entry.name : `${below}/${entry.name}`;
		if (entry.isDirectory()) names.push(...(await listFiles(folder, name)));
		else names.push(name);
	}

	return names;
}

/** A load resolves its folder more than once: this is how long one check holds. */
const REMEMBER_MS = 60_000;

/** Two changes within the resolution of a file system's clock may leave the same time. */
const CLOCK_MS = 2000;

/** By folder: the manifest and the states of its files when they were last found to be right. */
const verified = new Map<string, {readonly identity: string; readonly at: number}>();

function isRemembered(folder: string, identity: string): boolean {
	for (const [name, {at}] of verified) if (performance.now() - at > REMEMBER_MS) verified.delete(name);
	return verified.get(path.resolve(folder))?.identity === identity;
}

function remember(folder: string, identity: string): void {
	verified.set(path.resolve(folder), {identity, at: performance.now()});
}
