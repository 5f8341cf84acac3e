// JSON files: what is read, and mistakes found where they are.
import {existsSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {CheckpointError} from '../lib/errors.js';
import {describeJsonError, findJsonError} from '../lib/files/json-error.js';
import {exists, readJsonFile} from '../lib/files.js';
import {rejects} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';

test('reads JSON, also with a byte order mark', async t => {
	const file = path.join(await temporaryFolder(t), 'file.json');
	await writeFile(file, '\uFEFF{"a": [1, "é"]}');
	t.deepEqual(await readJsonFile(file, 'a test'), {a: [1, 'é']});
});

test('names the file and the place of what is not JSON', async t => {
	const folder = await temporaryFolder(t);
	const file = path.join(folder, 'file.json');
	const options = {error: CheckpointError, maxBytes: 100};
	const read = () => readJsonFile(file, 'a test', options);
	await rejects(t, read, {code: 'ERR_CHECKPOINT', message: /cannot read .*file\.json \(a test\): it does not exist/});
	await rejects(t, () => readJsonFile(folder, 'a test'), {code: 'ERR_DATA', message: /not a regular file/});
	await writeFile(file, 'x'.repeat(101));
	await rejects(t, read, {code: 'ERR_CHECKPOINT', message: /it has 101 bytes, more than the 100 allowed/});
	await writeFile(file, Uint8Array.of(0x22, 0xff, 0x22));
	await rejects(t, read, {code: 'ERR_CHECKPOINT', message: /file\.json \(a test\) is not UTF-8/});
	await writeFile(file, '{\n\t"a": 1,\n\t"b": tru\n}');
	await rejects(t, read, {code: 'ERR_CHECKPOINT', message: /line 3, column 7: expected a value, found "tru"/});
	t.false(await exists(path.join(file, 'below')));
	t.true(existsSync(file));
});

test('describes mistakes in JSON', t => {
	const cases: [string, string][] = [
		['', 'line 1, column 1: expected a value, found the end of the text'],
		['{"a" 1}', 'line 1, column 6: expected ":", found "1"'],
		['{"a": 1,}', 'line 1, column 9: expected a key in double quotes, found "}"'],
		["{'a': 1}", 'line 1, column 2: expected a key in double quotes or "}", found "\'"'],
		['[1 2]', 'line 1, column 4: expected "," or "]", found "2"'],
		['[1,\n2', 'line 2, column 2: expected "," or "]", found the end of the text'],
		['{"a": "x\ny"}', 'line 1, column 7: expected a value, found "\\"x"'],
		['01', 'line 1, column 2: expected the end of the text, found "1"'],
		['[1, // one\n2]', 'line 1, column 5: expected a value, found "/"'],
	];
	for (const [text, description] of cases) t.is(describeJsonError(text), description);
	t.is(describeJsonError('{"fine": [true, null, -1.5e3, "\\u00e9"]}'), undefined);
});

test('agrees with JSON.parse on what is JSON', t => {
	const token = fc.constantFrom(
		'{',
		'}',
		'[',
		']',
		',',
		':',
		'"a"',
		'"\\n"',
		'"\\x"',
		'1',
		'-',
		'0.5',
		'01',
		'1e',
		'true',
		'nul',
		'null',
		' ',
		'\n',
		'"',
	);
	const text = fc.oneof(
		fc.array(token, {maxLength: 12}).map(tokens => tokens.join('')),
		fc.tuple(fc.json(), fc.nat(), token).map(([json, place, wrong]) => {
			const at = place % (json.length + 1);
			return json.slice(0, at) + wrong + json.slice(at + 1);
		}),
		fc.json(),
	);
	fc.assert(
		fc.property(text, json => {
			let isValid = true;
			try {
				JSON.parse(json);
			} catch {
				isValid = false;
			}

			t.is(findJsonError(json) === undefined, isValid, json);
		}),
		{numRuns: 5000},
	);
	t.is(findJsonError(`"${'x'.repeat(10_000_000)}`)?.offset, 0);
});
