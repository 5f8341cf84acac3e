// Datasets: prepared folders, texts and ids, and what is refused.
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {Dataset} from '../lib/dataset.js';
import {prepareDataset} from '../lib/prepare.js';
import {fails, rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';
import {tinyText, tinyTokenizer} from './support/tiny.js';

test('opens both parts of a prepared dataset', async t => {
	const folder = await temporaryFolder(t);
	const input = path.join(folder, 'text.txt');
	const output = path.join(folder, 'data');
	await mkdir(output);
	await writeFile(input, tinyText);
	const meta = await prepareDataset({input, output});
	const [train, val] = await Promise.all((['train', 'val'] as const).map(split => Dataset.open(output, {split})));
	t.is(train!.length, meta.trainTokens);
	t.is(val!.length, meta.valTokens);
	t.is(train!.tokenizer?.vocabSize, tinyTokenizer.vocabSize);
	await rejects(t, () => Dataset.open(folder, {split: 'train'}), {code: 'ERR_DATA', message: /meta\.json/});
	await rejects(t, () => Dataset.open(output, {split: 'test' as never}), {
		code: 'ERR_CONFIG',
		message: /split is "test"/,
	});
});

test('makes datasets of texts and ids, and refuses what is neither', t => {
	t.is(Dataset.fromText(tinyText, tinyTokenizer).length, tinyText.length);
	t.is(Dataset.fromTokens([1, 2, 3]).length, 3);
	t.is(Dataset.fromTokens(Uint16Array.of(1, 65_535)).length, 2);
	const data = {code: 'ERR_DATA'} as const;
	fails(t, () => Dataset.fromTokens([]), {...data, message: /empty/});
	fails(t, () => Dataset.fromTokens([1, -1]), {...data, message: /token 1 is -1; accepted: an integer from 0/});
	fails(t, () => Dataset.fromTokens([1, 2.5]), {...data, message: /token 1 is 2\.5/});
	fails(t, () => Dataset.fromTokens('abc' as never), {...data, message: /the tokens are "abc"/});
	fails(t, () => Dataset.fromText('', tinyTokenizer), {...data, message: /empty/});
	fails(t, () => Dataset.fromText('ß', tinyTokenizer), {code: 'ERR_TOKENIZER', message: /ß/});
});
