// Preparing datasets: what the token files hold, how the text is split, what is refused, and downloads.
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {chmod, mkdir, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import fc from 'fast-check';
import {download} from '../lib/prepare/download.js';
import {StreamEncoder} from '../lib/prepare/stream-encoder.js';
import {tokenDtype} from '../lib/prepare/token-file.js';
import {findInvalidUtf8, wholeCharacters} from '../lib/prepare/utf8.js';
import {defaultDataFolder, type PreparedDataset, prepareDataset, prepareShakespeare, readMeta} from '../lib/prepare.js';
import {Tokenizer, type TokenizerKind} from '../lib/tokenizer.js';
import {rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';

async function readTokens({dtype}: PreparedDataset, file: string): Promise<number[]> {
	const bytes = Uint8Array.from(await readFile(file)).buffer;
	return Array.from(dtype === 'uint16' ? new Uint16Array(bytes) : new Uint32Array(bytes));
}

/** The tokens of both splits, after checking that reading the description again gives the same. */
async function readBack(t: ExecutionContext, dataset: PreparedDataset): Promise<{train: number[]; val: number[]}> {
	t.deepEqual(await readMeta(path.dirname(dataset.trainPath)), dataset);
	return {train: await readTokens(dataset, dataset.trainPath), val: await readTokens(dataset, dataset.valPath)};
}

async function prepareText(
	t: ExecutionContext,
	text: string | Uint8Array,
	tokenizer?: TokenizerKind,
): Promise<PreparedDataset> {
	const folder = await temporaryFolder(t);
	await writeFile(path.join(folder, 'text'), text);
	return prepareDataset({input: path.join(folder, 'text'), output: path.join(folder, 'out'), tokenizer});
}

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

test('finds the first byte that is not UTF-8', t => {
	const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
	const isValid = (bytes: Uint8Array) => {
		try {
			decoder.decode(bytes);
			return true;
		} catch {
			return false;
		}
	};
	const text = fc.string({unit: 'binary'}).map(string => new Uint8Array(Buffer.from(string)));
	const part = fc.oneof(
		text,
		fc.uint8Array({maxLength: 4}),
		fc.constantFrom(Uint8Array.of(0xed, 0xa0, 0x80), Uint8Array.of(0xf0, 0x9f)),
	);
	fc.assert(
		fc.property(fc.array(part, {maxLength: 5}), parts => {
			const bytes = new Uint8Array(Buffer.concat(parts));
			const offset = findInvalidUtf8(bytes);
			if (offset === -1) {
				t.true(isValid(bytes));
				return;
			}

			t.true(isValid(bytes.subarray(0, offset)));
			const lengths = [1, 2, 3, 4].filter(length => offset + length <= bytes.length);
			t.false(lengths.some(length => isValid(bytes.subarray(offset, offset + length))));
		}),
		{numRuns: 2000},
	);
});

test('cuts UTF-8 between characters', t => {
	fc.assert(
		fc.property(fc.string({unit: 'binary', minLength: 1}), fc.nat(), (text, place) => {
			const bytes = Buffer.from(text);
			const end = place % (bytes.length + 1);
			const whole = wholeCharacters(bytes.subarray(0, end));
			t.true(whole <= end && whole > end - 4);
			t.is(findInvalidUtf8(bytes.subarray(0, whole)), -1);
			const isBoundary = end === bytes.length || (bytes[end] & 0xc0) !== 0x80;
			t.is(whole === end, isBoundary);
		}),
	);
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

async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
	const server = createServer(listener);
	await new Promise<void>(resolve => {
		server.listen(0, '127.0.0.1', resolve);
	});
	t.teardown(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/input.txt`;
}

test('downloads exactly the file that is meant', async t => {
	const content = Buffer.from('the content');
	const expected = {bytes: content.length, sha256: createHash('sha256').update(content).digest('hex')};
	const url = await serve(t, (_request, response) => response.end(content));
	t.deepEqual(await download(url, expected), content);
	const moved = await serve(t, (_request, response) => response.writeHead(302, {location: url}).end());
	t.deepEqual(await download(moved, expected), content);
	const fetched = await download('custom:', expected, {fetch: async () => new Response(content)});
	t.deepEqual(fetched, content);
});

test('refuses other content, and says why a download failed', async t => {
	const content = Buffer.alloc(100_000, 'x');
	const expected = {bytes: content.length, sha256: createHash('sha256').update(content).digest('hex')};
	const attempt = async (listener: RequestListener, message: RegExp, timeoutSeconds = 10) => {
		const url = await serve(t, listener);
		await rejects(t, () => download(url, expected, {timeoutSeconds}), {code: 'ERR_DATA', message});
		await rejects(t, () => download(url, expected, {timeoutSeconds}), {code: 'ERR_DATA', message: /127\.0\.0\.1/});
	};
	await attempt((_request, response) => response.end(content.subarray(1)), /has 99999 bytes, expected 100000/);
	await attempt((_request, response) => response.end(Buffer.alloc(100_000, 'y')), /has SHA-256 [0-9a-f]{64}, expected/);
	await attempt((_request, response) => response.end(Buffer.alloc(200_000)), /larger than the expected 100000 bytes/);
	await attempt((_request, response) => response.writeHead(404).end('no'), /HTTP status 404/);
	await attempt((_request, response) => response.writeHead(500).end(), /HTTP status 500/);
	await attempt((_request, response) => {
		response.writeHead(200, {'content-length': 100_000}).write(content.subarray(1));
		setTimeout(() => response.destroy(), 50);
	}, /cannot download .*(closed|terminated|aborted)/);
	await attempt(() => {}, /not done within 0\.2 s/, 0.2);
	await attempt((_request, response) => void response.writeHead(200).write('slow'), /not done within 0\.2 s/, 0.2);
});

test('says that nobody answers', async t => {
	const server = createServer();
	const port = await new Promise<number>(resolve => {
		server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
	});
	await new Promise(resolve => {
		server.close(resolve);
	});
	const output = path.join(await temporaryFolder(t), 'out');
	await rejects(t, () => prepareShakespeare({output, url: `http://127.0.0.1:${port}/`}), {
		code: 'ERR_DATA',
		message: /ECONNREFUSED.* Without a network, give a local copy/,
	});
	t.false(existsSync(output));
});

test('does not take another text for tiny shakespeare', async t => {
	const folder = await temporaryFolder(t);
	const output = path.join(folder, 'out');
	const message = /is not tiny shakespeare/;
	await rejects(t, () => prepareShakespeare({input: fixture('text', 'unicode.txt'), output}), {
		code: 'ERR_DATA',
		message,
	});
	await mkdir(output);
	await writeFile(path.join(output, 'input.txt'), 'of my own');
	await rejects(t, () => prepareShakespeare({output, url: 'http://127.0.0.1:1/'}), {code: 'ERR_DATA', message});
	await rejects(t, () => prepareShakespeare({input: path.join(folder, 'none'), output}), {
		code: 'ERR_DATA',
		message: /none: it does not exist/,
	});
});

const shared = process.env.DLLM_SHARED ?? '../shared';
const shakespeare = path.join(shared, 'data', 'tinyshakespeare.txt');
const withShakespeare = existsSync(shakespeare) ? test : test.skip;

withShakespeare('prepares tiny shakespeare from a download or a copy', async t => {
	const folder = await temporaryFolder(t);
	const content = await readFile(shakespeare);
	let requests = 0;
	const url = await serve(t, (_request, response) => {
		requests++;
		response.end(content);
	});
	const output = path.join(folder, 'downloaded');
	const dataset = await prepareShakespeare({output, url});
	t.like(dataset, {name: 'shakespeare_char', trainTokens: 1_003_854, valTokens: 111_540, dtype: 'uint16'});
	t.is(dataset.tokenizer.vocabSize, 66);
	const tokenizer = await Tokenizer.fromDescription(dataset.tokenizer);
	const {train, val} = await readBack(t, dataset);
	t.true(tokenizer.decode(train) + tokenizer.decode(val) === content.toString('utf8'));

	await prepareShakespeare({output, url, overwrite: true});
	t.is(requests, 1, 'the text is downloaded once');
	const copy = await prepareShakespeare({input: shakespeare, output: path.join(folder, 'copied'), url});
	t.deepEqual({...copy, trainPath: '', valPath: ''}, {...dataset, trainPath: '', valPath: ''});
	t.is(requests, 1);
});

withShakespeare('prepares tiny shakespeare for GPT-2 as nanoGPT does', async t => {
	const output = path.join(await temporaryFolder(t), 'out');
	const {trainTokens, valTokens} = await prepareDataset({input: shakespeare, output, tokenizer: 'gpt2'});
	t.deepEqual([trainTokens, valTokens], [301_966, 36_059]);
});
