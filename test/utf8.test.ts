// UTF-8: the first byte that is wrong, and where bytes can be cut.
import test from 'ava';
import fc from 'fast-check';
import {findInvalidUtf8, wholeCharacters} from '../lib/prepare/utf8.js';

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
