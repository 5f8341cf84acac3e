// Files: written whole or not at all, and folders replaced or left alone.
import {spawn, spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdir, readdir, readFile, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {CheckpointError} from '../lib/errors.js';
import {isAbandoned, parseTemporary} from '../lib/files/temporary.js';
import {readBounded, recoverFolder, temporarySibling, writeFileAtomic, writeFolderAtomic} from '../lib/files.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {deadPid} from './support/processes.js';

function fill(content: string): (temporary: string) => Promise<void> {
	return async temporary => {
		await mkdir(path.join(temporary, 'below'));
		await writeFile(path.join(temporary, 'config.json'), content);
		await writeFile(path.join(temporary, 'below', 'data'), content);
	};
}

/** The target holds this content and nothing lies beside it. */
async function holds(t: ExecutionContext, target: string, content: string): Promise<void> {
	t.is(await readFile(path.join(target, 'config.json'), 'utf8'), content);
	t.is(await readFile(path.join(target, 'below', 'data'), 'utf8'), content);
	t.deepEqual(await readdir(path.dirname(target)), [path.basename(target)]);
}

test('replaces a file in one step', async t => {
	const folder = await temporaryFolder(t);
	const file = path.join(folder, 'file');
	await writeFileAtomic(file, 'one');
	await writeFileAtomic(file, Buffer.from('two'));
	t.is(await readFile(file, 'utf8'), 'two');
	t.deepEqual(await readdir(folder), ['file']);
});

test('leaves nothing behind when a file cannot be written', async t => {
	const folder = await temporaryFolder(t);
	const target = path.join(folder, 'taken');
	await mkdir(target);
	await t.throwsAsync(writeFileAtomic(target, 'x'), {code: 'EISDIR'});
	t.deepEqual(await readdir(folder), ['taken']);
	await t.throwsAsync(writeFileAtomic(path.join(folder, 'none', 'file'), 'x'), {code: 'ENOENT'});
});

test('builds a folder and replaces it only when told to', async t => {
	const target = path.join(await temporaryFolder(t), 'made', 'target');
	await writeFolderAtomic(target, {}, fill('one'));
	await holds(t, target, 'one');
	let called = false;
	const build = async () => {
		called = true;
	};
	await rejects(t, () => writeFolderAtomic(target, {}, build), {code: 'ERR_DATA', message: /target exists already/});
	const options = {error: CheckpointError};
	await rejects(t, () => writeFolderAtomic(target, options, build), {
		code: 'ERR_CHECKPOINT',
		message: /exists already/,
	});
	t.false(called, 'it is refused before the work is done');
	await writeFolderAtomic(`${target}/`, {overwrite: true}, fill('two'));
	await holds(t, target, 'two');
});

test('keeps the old folder when building fails', async t => {
	const target = path.join(await temporaryFolder(t), 'target');
	const failure = new Error('no more');
	const build = async (temporary: string) => {
		await writeFile(path.join(temporary, 'config.json'), 'half');
		throw failure;
	};
	t.is(await t.throwsAsync(writeFolderAtomic(target, {}, build)), failure);
	t.deepEqual(await readdir(path.dirname(target)), []);
	await writeFolderAtomic(target, {}, fill('one'));
	t.is(await t.throwsAsync(writeFolderAtomic(target, {overwrite: true}, build)), failure);
	await holds(t, target, 'one');
});

test('keeps the old folder when what was built is gone', async t => {
	const target = path.join(await temporaryFolder(t), 'target');
	await writeFolderAtomic(target, {}, fill('one'));
	const build = (temporary: string) => rename(temporary, path.join(target, 'moved'));
	await t.throwsAsync(writeFolderAtomic(target, {overwrite: true}, build), {code: 'ENOENT'});
	await holds(t, target, 'one');
});

test('never replaces a folder or file that is something else', async t => {
	const folder = await temporaryFolder(t);
	const target = path.join(folder, 'home');
	await mkdir(target);
	const options = {overwrite: true, markers: ['config.json', 'other']};
	await writeFolderAtomic(target, options, fill('into an empty one'));
	await holds(t, target, 'into an empty one');
	const foreign = path.join(folder, 'foreign');
	await mkdir(foreign);
	await writeFile(path.join(foreign, 'photo'), '');
	await rejects(t, () => writeFolderAtomic(foreign, options, fill('x')), {
		code: 'ERR_DATA',
		message: /foreign holds no config\.json/,
	});
	const file = path.join(folder, 'file');
	await writeFile(file, 'text');
	await rejects(t, () => writeFolderAtomic(file, options, fill('x')), {
		code: 'ERR_DATA',
		message: /file is not a folder/,
	});
	t.is(await readFile(file, 'utf8'), 'text');
	t.deepEqual((await readdir(folder)).sort(), ['file', 'foreign', 'home']);
});

test('refuses a folder that appears while another is built', async t => {
	const target = path.join(await temporaryFolder(t), 'target');
	const build = async (temporary: string) => {
		await fill('mine')(temporary);
		await mkdir(target);
		await fill('theirs')(target);
	};
	await rejects(t, () => writeFolderAtomic(target, {}, build), {code: 'ERR_DATA', message: /exists already/});
	await holds(t, target, 'theirs');
});

test('recovers from a crash between the two renames, and clears up', async t => {
	const folder = await temporaryFolder(t);
	const target = path.join(folder, 'target');
	const pid = await deadPid();
	const remains = (kind: 'tmp' | 'old') => temporarySibling(target, kind).replace(`-${process.pid}-`, `-${pid}-`);
	t.false(await recoverFolder(target));
	await mkdir(remains('tmp'));
	const asides = [remains('old'), remains('old')] as const;
	await mkdir(asides[0]);
	await fill('earlier')(asides[0]);
	await setTimeout(20);
	await mkdir(asides[1]);
	await fill('last good')(asides[1]);
	await mkdir(`${target}.old-backup`); // a person's
	await mkdir(temporarySibling(target, 'tmp')); // of a running writer
	t.true(await recoverFolder(target));
	t.is(await readFile(path.join(target, 'config.json'), 'utf8'), 'last good');
	t.false(await recoverFolder(target));
	await writeFolderAtomic(target, {overwrite: true}, fill('new'));
	t.is(await readFile(path.join(target, 'config.json'), 'utf8'), 'new');
	const left = (await readdir(folder)).sort();
	t.is(left.length, 3);
	t.deepEqual(left.slice(0, 2), ['target', 'target.old-backup']);
	t.regex(left[2], new RegExp(`^target\\.tmp-${process.pid}-`));
});

test('tells what a killed writer left from work in progress', async t => {
	const folder = await temporaryFolder(t);
	const own = temporarySibling(path.join(folder, 'step-1'), 'tmp');
	const {base, kind, pid, host, start} = parseTemporary(path.basename(own))!;
	t.deepEqual([base, kind, pid], ['step-1', 'tmp', process.pid]);
	const renamed = (changed: {pid?: number; host?: string; start?: string}) => {
		const writer = {pid, host, start, ...changed};
		return path.join(folder, `step-1.tmp-${writer.pid}-${writer.host}${writer.start}0000`);
	};
	const day = 24 * 3600 * 1000;
	const cases = [
		[own, false],
		[renamed({pid: await deadPid()}), true],
		[renamed({start: 'beef'}), existsSync('/proc/self/stat')], // the id went to a new process
		[renamed({start: '0000'}), false], // its system did not say when it started
		[renamed({pid: await deadPid(), host: 'beef'}), false],
	] as const;
	for (const [file, isLeft] of cases) {
		await mkdir(file);
		t.is(await isAbandoned(file), isLeft, file);
		t.is(await isAbandoned(file, Date.now() + day - 60_000), isLeft, file);
		t.true(await isAbandoned(file, Date.now() + day + 60_000), file);
	}

	t.false(await isAbandoned(path.join(folder, 'step-1.tmp-backup')));
	t.false(await isAbandoned(`${own}0`), 'what is gone already');
});

test('waits for a writer that is between its two renames', async t => {
	const folder = await temporaryFolder(t);
	const target = path.join(folder, 'target');
	const aside = temporarySibling(target, 'old');
	await mkdir(aside);
	const recovering = recoverFolder(target);
	await setTimeout(50);
	await mkdir(target);
	t.false(await recovering);
	t.true(existsSync(aside));
});

test('does not wait for a writer at a named pipe', async t => {
	const file = path.join(await temporaryFolder(t), 'pipe');
	if (spawnSync('mkfifo', [file]).status !== 0) {
		t.pass('skipped: there is no mkfifo');
		return;
	}

	await t.throwsAsync(readBounded(file, 10), {message: 'it is not a regular file'});
});

test('a killed writer leaves a whole folder', async t => {
	const folder = await temporaryFolder(t);
	const target = path.join(folder, 'target');
	const script = `
		import {writeFile} from 'node:fs/promises';
		const {writeFolderAtomic} = await import(${JSON.stringify(new URL('../lib/files.js', import.meta.url).href)});
		for (let turn = 0; ; turn++) {
			await writeFolderAtomic(${JSON.stringify(target)}, {overwrite: true}, async temporary => {
				for (const name of ['a', 'b', 'c']) await writeFile(temporary + '/' + name, String(turn).repeat(50_000));
			});
			if (turn === 0) console.log('ready');
		}`;
	for (let kill = 0; kill < 6; kill++) {
		const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		await new Promise(resolve => {
			child.stdout.once('data', resolve);
		});
		await setTimeout(7 * kill);
		const closed = new Promise(resolve => {
			child.on('close', resolve);
		});
		child.kill('SIGKILL');
		await closed;
		await recoverFolder(target);
		const contents = await Promise.all(['a', 'b', 'c'].map(name => readFile(path.join(target, name), 'utf8')));
		t.true(contents[0].length >= 50_000 && contents.every(content => content === contents[0]));
	}

	await writeFolderAtomic(target, {overwrite: true}, fill('clean'));
	await holds(t, target, 'clean');
});
