// The manifest of a checkpoint: any damage to any file is found, and what a user adds is not in the way.
import {existsSync, readFileSync} from 'node:fs';
import {appendFile, mkdir, readdir, readFile, rename, rm, symlink, truncate, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {CheckpointError} from '../lib/errors.js';
import {formatManifest, parseManifest, verifyManifest, writeManifest} from '../lib/manifest.js';
import {Model} from '../lib/model.js';
import {Trainer} from '../lib/trainer.js';
import {hashWeights, seededRandom, smallest} from './support/crash.js';
import {fails, rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {warningsOf} from './support/processes.js';
import {tinyTokenizer} from './support/tiny.js';
import {tinyDataset} from './support/training.js';

const sha256 = '0123456789abcdef'.repeat(4);

function parse(text: string | Buffer): ReturnType<typeof parseManifest> {
	return parseManifest(Buffer.from(text), 'a/manifest.json');
}

/** A folder with a file at the top and one below, and their manifest. */
async function smallFolder(t: ExecutionContext): Promise<string> {
	const folder = await temporaryFolder(t);
	await mkdir(path.join(folder, 'trainer'));
	await writeFile(path.join(folder, 'config.json'), 'content');
	await writeFile(path.join(folder, 'trainer', 'state.json'), '');
	await writeManifest(folder);
	return folder;
}

test('lists every file with its size and hash, in one form', async t => {
	const folder = await smallFolder(t);
	const text = await readFile(path.join(folder, 'manifest.json'), 'utf8');
	const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
	const content = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73';
	t.deepEqual(JSON.parse(text), {
		formatVersion: 1,
		files: {'config.json': {bytes: 7, sha256: content}, 'trainer/state.json': {bytes: 0, sha256: empty}},
	});
	t.is(formatManifest(parse(text)), text);
	t.is(formatManifest(parse(formatManifest(new Map()))), formatManifest(new Map()));
	t.true(await verifyManifest(folder));
	await rm(path.join(folder, 'manifest.json'));
	t.false(await verifyManifest(folder));
});

test('names the file that is wrong and the rule it broke', async t => {
	const verifying = async (change: (folder: string) => Promise<unknown>, message: RegExp) => {
		const folder = await smallFolder(t);
		await change(folder);
		await rejects(t, () => verifyManifest(folder), {code: 'ERR_CHECKPOINT', message});
	};
	const config = (folder: string) => path.join(folder, 'config.json');
	await verifying(
		folder => rm(config(folder)),
		/^cannot read \S+config\.json, which manifest\.json lists: it does not/,
	);
	await verifying(
		folder => appendFile(config(folder), '!'),
		/config\.json has 8 bytes; accepted: 7, as manifest\.json/,
	);
	await verifying(folder => truncate(config(folder), 0), /config\.json has 0 bytes; accepted: 7/);
	await verifying(
		folder => writeFile(config(folder), 'Content'),
		/config\.json has changed since it was saved: its SHA-256 is [0-9a-f]{64}, manifest\.json says ed70\S+; to use the folder as it is, remove its manifest\.json$/,
	);
	await verifying(async folder => {
		await rm(config(folder));
		await mkdir(config(folder));
	}, /config\.json is not a regular file/);
	for (const name of ['model.safetensors', 'ema.safetensors', 'tokenizer_dllm.json', 'trainer/optimizer.safetensors']) {
		await verifying(
			folder => writeFile(path.join(folder, name), ''),
			new RegExp(`${name.replace('.', '\\.')} is not listed in manifest\\.json; remove it, or to use the folder as`),
		);
	}

	await verifying(
		folder => writeFile(path.join(folder, 'manifest.json'), 'no'),
		/manifest\.json is not valid JSON: line 1/,
	);
	await verifying(folder => truncate(path.join(folder, 'manifest.json'), 2 ** 23), /has 8388608 bytes, more than the/);
});

test('leaves a user room for notes, and for moving a file elsewhere', async t => {
	const folder = await smallFolder(t);
	await writeFile(path.join(folder, 'README.md'), '# A model');
	await mkdir(path.join(folder, 'samples'));
	await writeFile(path.join(folder, 'samples', 'old.safetensors'), '');
	t.true(await verifyManifest(folder));
	const elsewhere = path.join(await temporaryFolder(t), 'config');
	await rename(path.join(folder, 'config.json'), elsewhere);
	await symlink(elsewhere, path.join(folder, 'config.json'));
	t.true(await verifyManifest(folder));
	await writeFile(elsewhere, 'Content');
	await t.throwsAsync(verifyManifest(folder), {instanceOf: CheckpointError, message: /config\.json has changed/});
});

test('refuses a manifest that is not one', t => {
	const line = (name: string, bytes: string | number = 1, hash = sha256) =>
		`\t\t${JSON.stringify(name)}: {"bytes": ${bytes}, "sha256": "${hash}"}`;
	const text = (...lines: readonly string[]) =>
		`{\n\t"formatVersion": 1,\n\t"files": {\n${lines.join(',\n')}\n\t}\n}\n`;
	t.is(parse(text(line('a'), line('trainer/b'))).size, 2);
	const refused: [string, RegExp][] = [
		['', /not valid JSON/],
		['[]', /the value is \[\]; accepted/],
		['{"formatVersion": 2, "files": {}}', /formatVersion is 2; accepted: 1/],
		['{"formatVersion": 1}', /files is missing/],
		['{"formatVersion": 1, "files": []}', /files is \[\]/],
		[text(line('a')).replace('{', '{"more": 1,'), /unknown key "more"/],
		[text(line('../a')), /lists "\.\.\/a"; accepted: paths of files below its folder/],
		[text(line('/etc/passwd')), /lists "\/etc\/passwd"/],
		[text(line('trainer/../../a')), /lists "trainer\/\.\.\/\.\.\/a"/],
		[text(line('a//b')), /lists "a\/\/b"/],
		[text(line('a\\b')), /lists/],
		[text(line('a\u0000')), /lists/],
		[text(line('\uD800')), /lists/],
		[text(line('')), /lists ""/],
		[text(line('.')), /lists "\."/],
		[text(line('manifest.json')), /lists "manifest\.json"/],
		[text(line('a'.repeat(2000))), /lists "aaa/],
		[text(line('__proto__')), /lists "__proto__"/],
		[text(line('trainer/__proto__')), /lists/],
		[`{"__proto__": {}, ${text(line('a')).slice(1)}`, /not in the form|unknown key/],
		[text(line('a', -1)), /bytes is -1/],
		[text(line('a', 1.5)), /bytes is 1\.5/],
		[text(line('a', '1e400')), /bytes is/],
		[text(line('a', '9007199254740993')), /bytes is/],
		[text(line('a', '"1"')), /bytes is "1"/],
		[text(line('a', 1, sha256.toUpperCase())), /sha256 is/],
		[text(line('a', 1, sha256.slice(1))), /sha256 is/],
		[text(line('a'), line('a')), /not in the form in which it is written/],
		[text(line('b'), line('a')), /not in the form/],
		[text(line('a')).replace('\t', ' '), /not in the form/],
		[text(line('a')).trimEnd(), /not in the form/],
		[`\uFEFF${text(line('a'))}`, /not in the form/],
		[text(line('a', '1.0')), /not in the form/],
		[text(...Array.from({length: 10_001}, (_, index) => line(`f${index}`))), /lists 10001 files; accepted: at most/],
		[`${'['.repeat(10_000)}${']'.repeat(10_000)}`, /nested more than 64 levels deep/],
	];
	for (const [content, message] of refused) {
		fails(t, () => parse(content), {code: 'ERR_CHECKPOINT', message});
		fails(t, () => parse(content), {code: 'ERR_CHECKPOINT', message: /^a\/manifest\.json/});
	}

	fails(t, () => parse(Buffer.of(0xff)), {code: 'ERR_CHECKPOINT', message: /is not UTF-8/});
});

/** Bytes that this process has read from files so far. */
function bytesRead(): number {
	return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

(existsSync('/proc/self/io') ? test.serial : test.serial.skip)(
	'reads a large file once for several calls, and again after the smallest change',
	async t => {
		const folder = await temporaryFolder(t);
		const file = path.join(folder, 'model.safetensors');
		const content = Buffer.alloc(2 ** 24, 1);
		await writeFile(file, content);
		await writeManifest(folder);
		const reads = async () => {
			const before = bytesRead();
			await verifyManifest(folder);
			return bytesRead() - before > content.length / 2;
		};
		t.true(await reads());
		t.true(await reads(), 'a change in the same moment would leave the same times');
		await setTimeout(2100);
		t.true(await reads());
		t.false(await reads());
		const times = [new Date(1e12), new Date(1e12)] as const;
		await utimes(file, ...times);
		t.true(await reads());
		content[5] = 2;
		await writeFile(file, content);
		await utimes(file, ...times);
		await rejects(t, reads, {code: 'ERR_CHECKPOINT', message: /model\.safetensors has changed/});
	},
);

test('finds every flipped bit, and a run goes on from the checkpoint before', async t => {
	const folder = path.join(await temporaryFolder(t), 'run');
	const model = await Model.create(smallest, {tokenizer: tinyTokenizer});
	const trainer = new Trainer(model, {batchSize: 2, warmupSteps: 0});
	const hashes: string[] = [];
	for (let step = 0; step < 2; step++) {
		await trainer.step(tinyDataset);
		await trainer.save(folder);
		hashes.push(await hashWeights(model));
	}

	const latest = path.join(folder, 'step-2');
	const names = (await readdir(latest, {recursive: true})).filter(name => name !== 'trainer').sort();
	t.deepEqual(names, [
		'config.json',
		'manifest.json',
		'model.safetensors',
		'tokenizer_dllm.json',
		'trainer/optimizer.safetensors',
		'trainer/state.json',
	]);
	const random = seededRandom(7);
	for (let flip = 0; flip < 1000; flip++) {
		const file = path.join(latest, names[flip % names.length]!);
		const content = await readFile(file);
		const bit = Math.floor(random() * content.length * 8);
		const damaged = Buffer.from(content);
		damaged[bit >> 3]! ^= 1 << (bit & 7);
		await writeFile(file, damaged);
		const what = `bit ${bit} of ${file}`;
		const error = await t.throwsAsync(() => (flip % 2 ? Trainer.resume(latest) : Model.load(latest)), undefined, what);
		t.true(error instanceof CheckpointError && error.message.includes(latest), `${what}: ${error?.message}`);
		if (flip % 10 === flip % 7) {
			const {value, warnings} = await warningsOf(() => Trainer.resume(folder));
			t.is(value.completedSteps, 1, what);
			t.is(await hashWeights(value.model), hashes[0]!);
			t.deepEqual(
				warnings.map(({code}) => code),
				['DLLM_CHECKPOINT_FALLBACK'],
			);
			await value[Symbol.asyncDispose]();
			await value.model[Symbol.asyncDispose]();
		}

		await writeFile(file, content);
	}

	const {value, warnings} = await warningsOf(() => Trainer.resume(folder));
	t.deepEqual(warnings, []);
	t.is(await hashWeights(value.model), hashes[1]!);
});
