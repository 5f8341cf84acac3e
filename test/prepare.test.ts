// Preparing datasets: what the token files hold, and how the text is split.
import {createHash} from 'node:crypto';
import {mkdir, readdir, readFile, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {StreamEncoder} from '../lib/prepare/stream-encoder.js';
import {tokenDtype} from '../lib/prepare/token-file.js';
import {prepareDataset} from '../lib/prepare.js';
import {Tokenizer} from '../lib/tokenizer.js';
import {rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';
import {prepareText, readBack} from './support/prepare.js';

test('splits a text after nine tenths of its characters', async t => {
	const text = `${'0123456789'.repeat(3)}abc`;
	const dataset = await prepareText(t, text);
	const tokenizer = await Tokenizer.fromDescription(dataset.tokenizer);
	const {train, val} = await readBack(t, dataset);
	t.is(tokenizer.decode(train), text.slice(0, Math.floor(0.9 * 33)));
	t.is(tokenizer.decode(val), text.slice(Math.floor(0.9 * 33)));
	t.like(dataset, {
		formatVersion: 1,
		name: 'text',
		dtype: 'uint16',
		trainTokens: 29,
		valTokens: 4,
		tokenizer: {kind: 'char', characters: '0123456789abc', vocabSize: 14, maskTokenId: 13},
		source: {files: 1, bytes: 33, sha256: createHash('sha256').update(text).digest('hex')},
	});
	t.deepEqual((await readdir(path.dirname(dataset.trainPath))).sort(), ['meta.json', 'train.bin', 'val.bin']);
});

test('counts characters, not bytes or UTF-16 units', async t => {
	const text = '🦊é'.repeat(10);
	for (const kind of ['char', 'gpt2'] as const) {
		const dataset = await prepareText(t, text, kind);
		const tokenizer = await Tokenizer.fromDescription(dataset.tokenizer);
		const {train, val} = await readBack(t, dataset);
		t.is(tokenizer.decode(train), '🦊é'.repeat(9));
		t.is(tokenizer.decode(val), '🦊é');
	}
});

test('takes any file as bytes', async t => {
	const bytes = Uint8Array.from({length: 1000}, (_, index) => (index * 89) % 256);
	const dataset = await prepareText(t, bytes, 'byte');
	const {train, val} = await readBack(t, dataset);
	t.deepEqual([...train, ...val], Array.from(bytes));
	t.is(train.length, 900);
});

test('encodes the two parts of a text for themselves, as nanoGPT does', async t => {
	const text = await readFile(fixture('text', 'unicode.txt'), 'utf8');
	const tokenizer = await Tokenizer.gpt2();
	const {train, val} = await readBack(t, await prepareText(t, text, 'gpt2'));
	const characters = Array.from(text);
	const end = Math.floor(0.9 * characters.length);
	t.deepEqual(train, Array.from(tokenizer.encode(characters.slice(0, end).join(''))));
	t.deepEqual(val, Array.from(tokenizer.encode(characters.slice(end).join(''))));
});

test('encodes pieces of a text like the whole', async t => {
	const tokenizer = await Tokenizer.gpt2();
	const part = fc.oneof(fc.string({unit: 'grapheme'}), fc.constantFrom(' ', '\n', 'word', ' and', "'s", '   '));
	fc.assert(
		fc.property(fc.array(part, {maxLength: 20}), parts => {
			const encoder = new StreamEncoder(tokenizer);
			const tokens = parts.flatMap(text => Array.from(encoder.push(Buffer.from(text))));
			tokens.push(...Array.from(encoder.flush()));
			t.deepEqual(tokens, Array.from(tokenizer.encode(parts.join(''))));
		}),
		{numRuns: 500},
	);
});

test('reads a text that is larger than one piece', async t => {
	const line = 'Αυτό είναι ένα παράδειγμα 🦊 of many words, ';
	const text = line.repeat(40_000); // several reads of 1 MiB, which end within characters
	const tokenizer = await Tokenizer.gpt2();
	const {train, val} = await readBack(t, await prepareText(t, text, 'gpt2'));
	t.true(tokenizer.decode(train) + tokenizer.decode(val) === text);
	const {train: charTrain, val: charVal} = await readBack(t, await prepareText(t, text, 'char'));
	const charTokenizer = Tokenizer.char(text);
	t.true(charTokenizer.decode(charTrain.concat(charVal)) === text);
	t.is(charTrain.length, Math.floor(0.9 * Array.from(line).length * 40_000));
});

test('takes the text files of a folder in the order of their paths', async t => {
	const output = path.join(await temporaryFolder(t), 'out');
	const dataset = await prepareDataset({input: fixture('text', 'folder'), output, name: 'mine'});
	const tokenizer = await Tokenizer.fromDescription(dataset.tokenizer);
	const {train, val} = await readBack(t, dataset);
	const files = ['Z.TXT', 'a.txt', 'b.md', 'deeper/c.txt'];
	const texts = await Promise.all(files.map(file => readFile(fixture('text', 'folder', file), 'utf8')));
	t.is(tokenizer.decode([...train, ...val]), texts.map(text => text.replace(/\n?$/, '\n')).join(''));
	t.is(dataset.name, 'mine');
	t.is(dataset.source.files, 4);
	t.is(dataset.source.sha256, createHash('sha256').update(texts.join('')).digest('hex'));
});

test('ends each document of a folder with its token', async t => {
	const output = path.join(await temporaryFolder(t), 'out');
	const dataset = await prepareDataset({input: fixture('text', 'folder'), output, tokenizer: 'gpt2'});
	const {train, val} = await readBack(t, dataset);
	const tokens = [...train, ...val];
	t.is(tokens.filter(id => id === 50_256).length, 4);
	t.is(tokens.at(-1), 50_256);
	t.regex((await Tokenizer.gpt2()).decode(tokens), /its end<\|endoftext\|># Second/);
});

test('leaves out hidden files and other endings, and follows links to files', async t => {
	const folder = await temporaryFolder(t);
	const input = path.join(folder, 'in');
	await mkdir(path.join(input, '.git'), {recursive: true});
	await writeFile(path.join(input, '.git', 'x.txt'), 'hidden');
	await writeFile(path.join(input, '.hidden.txt'), 'hidden');
	await writeFile(path.join(input, 'image.png'), Uint8Array.of(0, 1, 2));
	await writeFile(path.join(folder, 'elsewhere'), 'linked text');
	await symlink(path.join(folder, 'elsewhere'), path.join(input, 'link.txt'));
	const dataset = await prepareDataset({input, output: path.join(folder, 'out')});
	t.is(dataset.source.bytes, 11);
	await symlink(path.join(folder, 'nowhere'), path.join(input, 'broken.txt'));
	await rejects(t, () => prepareDataset({input, output: path.join(folder, 'other')}), {
		code: 'ERR_DATA',
		message: /broken\.txt: it does not exist/,
	});
});

test('stores wide vocabularies in 32 bits', async t => {
	t.is(tokenDtype(65_536), 'uint16');
	t.is(tokenDtype(65_537), 'uint32');
	const characters = Array.from({length: 70_000}, (_, index) => String.fromCodePoint(0x1_0000 + index)).join('');
	const dataset = await prepareText(t, characters);
	t.is(dataset.dtype, 'uint32');
	const {train, val} = await readBack(t, dataset);
	t.is(train.length + val.length, 70_000);
	t.true(train.concat(val).every((id, index) => id === index));
});
