// Tokenizers: what cannot be encoded or decoded, and files.
import {existsSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {Tokenizer, tokenizerFile} from '../lib/tokenizer.js';
import {fails, rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';

const gpt2 = await Tokenizer.gpt2();

test('refuses ids outside the vocabulary', t => {
	for (const tokenizer of [Tokenizer.char('abc'), Tokenizer.byte(), gpt2]) {
		const {vocabSize, maskTokenId} = tokenizer;
		for (const id of [-1, vocabSize, 0.5, Number.NaN]) {
			const message = new RegExp(`id ${id} at position 1: ids are 0 to ${maskTokenId}`);
			fails(t, () => tokenizer.decode([0, id]), {code: 'ERR_TOKENIZER', message});
		}
	}
});

test('names the character that a char tokenizer does not have', t => {
	const tokenizer = Tokenizer.char('ab\u{1F98A}');
	fails(t, () => tokenizer.encode('\u{1F98A}aé'), {
		code: 'ERR_TOKENIZER',
		message: /"é" \(U\+00E9\) at position 2 is not among the 3 of this tokenizer: "ab🦊"/,
	});
	fails(t, () => tokenizer.encode('\n'), {code: 'ERR_TOKENIZER', message: /"\\n" \(U\+000A\) at position 0/});
	fails(t, () => tokenizer.encode('\u{1F98B}'), {code: 'ERR_TOKENIZER', message: /U\+1F98B/});
});

test('refuses text that is not Unicode', t => {
	for (const tokenizer of [Tokenizer.char('ab'), Tokenizer.byte(), gpt2]) {
		fails(t, () => tokenizer.encode('ab\uD800'), {
			code: 'ERR_TOKENIZER',
			message: /lone surrogate U\+D800 at offset 2/,
		});
	}

	fails(t, () => Tokenizer.char('\uDC00'), {code: 'ERR_TOKENIZER', message: /lone surrogate/});
	fails(t, () => Tokenizer.char(''), {code: 'ERR_TOKENIZER', message: /at least one character/});
});

test('is the same after saving and loading', async t => {
	const folder = await temporaryFolder(t);
	const text = await readFile(fixture('text', 'unicode.txt'), 'utf8');
	for (const tokenizer of [Tokenizer.char(text), Tokenizer.byte(), gpt2]) {
		const target = path.join(folder, 'made', tokenizer.kind);
		await tokenizer.save(target);
		const loaded = await Tokenizer.load(target);
		t.deepEqual(loaded.description, tokenizer.description);
		t.deepEqual(loaded.encode(text), tokenizer.encode(text));
		t.is(loaded.decode(tokenizer.encode(text)), text);
	}
});

test('reports what is wrong with a tokenizer file', async t => {
	const folder = await temporaryFolder(t);
	const file = path.join(folder, tokenizerFile);
	await rejects(t, () => Tokenizer.load(folder), {
		code: 'ERR_TOKENIZER',
		message: /tokenizer_dllm\.json.*does not exist/,
	});
	const valid = {formatVersion: 1, kind: 'char', characters: 'ab', vocabSize: 3, maskTokenId: 2};
	await writeFile(file, JSON.stringify(valid));
	t.is((await Tokenizer.load(folder)).vocabSize, 3);
	const wrong: [unknown, RegExp][] = [
		[{...valid, formatVersion: 2}, /formatVersion is 2; accepted: 1/],
		[{...valid, kind: 'bpe'}, /kind is "bpe"; accepted: "char", "byte" or "gpt2"/],
		[{...valid, characters: 'ba'}, /characters are not .* in code point order/],
		[{...valid, characters: 'aab', vocabSize: 4, maskTokenId: 3}, /characters are not .* each once/],
		[{...valid, characters: 7}, /characters is 7; accepted: a string/],
		[{...valid, characters: ''}, /characters is ""/],
		[{...valid, vocabSize: 4, maskTokenId: 3}, /vocabSize is 4; accepted: 3/],
		[{...valid, maskTokenId: 1}, /maskTokenId is 1; accepted: 2/],
		[{...valid, surprise: 1}, /unknown key "surprise"/],
		[{...valid, kind: 'byte'}, /characters/],
		[[], /the value is \[\]/],
		[null, /the value is null/],
	];
	for (const [content, message] of wrong) {
		await writeFile(file, JSON.stringify(content));
		await rejects(t, () => Tokenizer.load(folder), {code: 'ERR_TOKENIZER', message});
		await rejects(t, () => Tokenizer.load(folder), {code: 'ERR_TOKENIZER', message: /tokenizer_dllm\.json/});
	}

	await writeFile(file, '{"kind": char}');
	await rejects(t, () => Tokenizer.load(folder), {
		code: 'ERR_TOKENIZER',
		message: /line 1, column 10: expected a value, found "char"/,
	});
});

test('says where it cannot save', async t => {
	const folder = await temporaryFolder(t);
	const file = path.join(folder, 'file');
	await writeFile(file, '');
	await rejects(t, () => Tokenizer.byte().save(path.join(file, 'below')), {
		code: 'ERR_TOKENIZER',
		message: /cannot write .*tokenizer_dllm\.json/,
	});
	t.false(existsSync(path.join(file, 'below')));
});
