// Preparing tiny shakespeare: downloads, what is not taken for it, and the numbers of nanoGPT.
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {download} from '../lib/prepare/download.js';
import {prepareDataset, prepareShakespeare} from '../lib/prepare.js';
import {Tokenizer} from '../lib/tokenizer.js';
import {rejects} from './support/expect.js';
import {fixture, temporaryFolder} from './support/folders.js';
import {readBack} from './support/prepare.js';

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
