// Preparing datasets: what is refused, what is left behind, and what is wrong with a prepared one.
import {existsSync} from 'node:fs';
import {chmod, mkdir, readdir, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {defaultDataFolder, prepareDataset, readMeta} from '../lib/prepare.js';
import type {TokenizerKind} from '../lib/tokenizer.js';
import {rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';
import {prepareText} from './support/prepare.js';

test('refuses what is no text, naming the file and the byte', async t => {
	const valid = Buffer.from('valid text, then é: ');
	const cases: [string, Uint8Array, RegExp][] = [
		['a wrong byte', Buffer.concat([valid, Uint8Array.of(0xff)]), /text is not UTF-8: byte 21 \(0xff\)/],
		['a cut character', Buffer.concat([valid, Uint8Array.of(0xf0, 0x9f, 0x98)]), /byte 21 \(0xf0\)/],
		['a surrogate', Buffer.concat([valid, Uint8Array.of(0xed, 0xa0, 0x80, 0x41)]), /byte 21 \(0xed\)/],
		['a zero byte', Buffer.concat([valid, Uint8Array.of(0x00, 0xff)]), /text is not a text: byte 21 is zero/],
	];
	for (const [name, bytes, message] of cases) {
		for (const kind of ['char', 'gpt2'] as const) {
			await rejects(t, () => prepareText(t, bytes, kind), {code: 'ERR_DATA', message});
		}

		await t.notThrowsAsync(prepareText(t, bytes, 'byte'), name);
	}

	const late = Buffer.concat([Buffer.alloc(3_000_000, 'é'), Uint8Array.of(0xc3)]);
	await rejects(t, () => prepareText(t, late), {code: 'ERR_DATA', message: /byte 3000000 \(0xc3\)/});
});

test('refuses inputs that are missing, empty or too small', async t => {
	const folder = await temporaryFolder(t);
	const output = path.join(folder, 'out');
	await writeFile(path.join(folder, 'empty'), '');
	await writeFile(path.join(folder, 'small'), 'nine char');
	await mkdir(path.join(folder, 'nothing'));
	const expectations: [string, RegExp][] = [
		['none', /cannot read .*none: it does not exist/],
		['empty', /empty has 0 characters; a dataset needs at least 10/],
		['small', /small has 9 characters/],
		['nothing', /nothing has no text file; looked for \.txt/],
	];
	for (const [name, message] of expectations) {
		await rejects(t, () => prepareDataset({input: path.join(folder, name), output}), {code: 'ERR_DATA', message});
	}

	const kind = 'bpe' as TokenizerKind;
	await rejects(t, () => prepareDataset({input: path.join(folder, 'small'), output, tokenizer: kind}), {
		code: 'ERR_CONFIG',
		message: /tokenizer must be one of char, byte, gpt2, got "bpe"/,
	});
	t.false(existsSync(output), 'nothing is made for an input that is refused');
});

test('replaces a dataset only when told to, and nothing else in the folder', async t => {
	const output = await temporaryFolder(t);
	const input = fixture('text', 'unicode.txt');
	await writeFile(path.join(output, 'notes'), 'mine');
	const first = await prepareDataset({input, output});
	await rejects(t, () => prepareDataset({input, output, tokenizer: 'byte'}), {
		code: 'ERR_DATA',
		message: /already holds train\.bin/,
	});
	t.deepEqual(await readMeta(output), first);
	const second = await prepareDataset({input, output, tokenizer: 'byte', overwrite: true});
	t.is(second.tokenizer.kind, 'byte');
	t.deepEqual((await readdir(output)).sort(), ['meta.json', 'notes', 'train.bin', 'val.bin']);
});

test('leaves no half dataset when it cannot write', async t => {
	const folder = await temporaryFolder(t);
	const input = fixture('text', 'unicode.txt');
	await writeFile(path.join(folder, 'file'), '');
	await rejects(t, () => prepareDataset({input, output: path.join(folder, 'file', 'out')}), {
		code: 'ERR_DATA',
		message: /cannot write the dataset/,
	});
	const output = path.join(folder, 'blocked');
	await mkdir(path.join(output, 'val.bin', 'x'), {recursive: true});
	await rejects(t, () => prepareDataset({input, output, overwrite: true}), {
		code: 'ERR_DATA',
		message: /cannot write the dataset/,
	});
	t.false(existsSync(path.join(output, 'meta.json')));
	t.deepEqual(
		(await readdir(output)).filter(name => name.includes('.tmp-')),
		[],
	);
	await rejects(t, () => readMeta(output), {code: 'ERR_DATA', message: /no meta\.json: .* interrupted/});
});

// Root may read everything.
const withPermissions = process.getuid?.() === 0 ? test.skip : test;

withPermissions('names a file that it may not read', async t => {
	const folder = await temporaryFolder(t);
	const input = path.join(folder, 'secret.txt');
	await writeFile(input, 'a text that is long enough');
	await chmod(input, 0o000);
	await rejects(t, () => prepareDataset({input, output: path.join(folder, 'out')}), {
		code: 'ERR_DATA',
		message: /secret\.txt: permission denied/,
	});
});

test('reports what is wrong with a prepared dataset', async t => {
	const folder = await temporaryFolder(t);
	const dataset = await prepareDataset({input: fixture('text', 'unicode.txt'), output: folder});
	const {trainPath, valPath, ...meta} = dataset;
	const wrong: [object, RegExp][] = [
		[{...meta, formatVersion: 2}, /meta\.json: formatVersion is 2; accepted: 1/],
		[{...meta, dtype: 'int8'}, /dtype is "int8"; accepted: "uint16" or "uint32"/],
		[{...meta, trainTokens: 0}, /trainTokens is 0/],
		[{...meta, trainTokens: meta.trainTokens + 1}, /train\.bin has \d+ bytes; its meta\.json says/],
		[{...meta, dtype: 'uint32'}, /train\.bin has/],
		[{...meta, tokenizer: {...meta.tokenizer, vocabSize: 7}}, /meta\.json: tokenizer: vocabSize is 7/],
		[{...meta, source: {...meta.source, sha256: 'x'}}, /source\.sha256/],
		[{...meta, extra: 1}, /unknown key "extra"/],
		[{}, /formatVersion is missing/],
	];
	for (const [content, message] of wrong) {
		await writeFile(path.join(folder, 'meta.json'), JSON.stringify(content));
		await rejects(t, () => readMeta(folder), {code: 'ERR_DATA', message});
	}

	await writeFile(path.join(folder, 'meta.json'), JSON.stringify(meta).slice(0, -1));
	await rejects(t, () => readMeta(folder), {
		code: 'ERR_DATA',
		message: /meta\.json .*is not valid JSON: line 1, column \d+: .*the end of the text/,
	});
	await writeFile(path.join(folder, 'meta.json'), JSON.stringify(meta));
	t.deepEqual(await readMeta(folder), dataset);
	await rm(valPath);
	await rejects(t, () => readMeta(folder), {code: 'ERR_DATA', message: /val\.bin: it does not exist/});
	await rm(path.join(folder, 'meta.json'));
	await writeFile(path.join(folder, 'meta.pkl'), '');
	await rejects(t, () => readMeta(folder), {code: 'ERR_DATA', message: /meta\.pkl is a Python pickle/});
	await rejects(t, () => readMeta(path.join(folder, 'none')), {code: 'ERR_DATA', message: /none does not exist/});
});

test('puts datasets where DLLM_DATA says', t => {
	const {DLLM_DATA} = process.env;
	t.teardown(() => {
		if (DLLM_DATA === undefined) delete process.env.DLLM_DATA;
		else process.env.DLLM_DATA = DLLM_DATA;
	});
	process.env.DLLM_DATA = '/somewhere';
	t.is(defaultDataFolder('text8'), '/somewhere/text8');
	delete process.env.DLLM_DATA;
	t.is(defaultDataFolder('text8'), 'data/text8');
});
