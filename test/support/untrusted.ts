// Texts that a reader of JSON files must survive: any JSON, and valid content that was tampered with.
import fc from 'fast-check';

type Json = null | boolean | number | string | Json[] | {[key: string]: Json};

const value: fc.Arbitrary<unknown> = fc.oneof(
	fc.jsonValue({maxDepth: 3}),
	fc.integer(),
	fc.double(),
	fc.string(),
	fc.constantFrom(null, true, -1, 0.5, 2 ** 53, 1e308, -1e308, 1e-320, '', '\u0000', '../x', 'x'.repeat(2000), [], {}),
	fc.nat({max: 200}).map(depth => JSON.parse('['.repeat(depth + 1) + ']'.repeat(depth + 1)) as unknown),
);

const key = fc.oneof(
	fc.string(),
	fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'formatVersion', 'kind', '0'),
);

/** Where something can be changed: every object and array, and the keys of it. */
function places(root: unknown): [object, string][] {
	const found: [object, string][] = [];
	const waiting = [root];
	for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
		if (typeof node !== 'object' || node === null) continue;
		for (const [name, child] of Object.entries(node)) {
			found.push([node, name]);
			waiting.push(child);
		}
	}

	return found;
}

function valueAt(all: readonly [object, string][], index: number): unknown {
	const [parent, own] = all[index % Math.max(1, all.length)] ?? [{}, ''];
	return Reflect.get(parent, own);
}

type Change = {readonly at: number; readonly how: 'replace' | 'remove' | 'add' | 'copy'; key: string; value: unknown};

const change: fc.Arbitrary<Change> = fc.record({
	at: fc.nat(),
	how: fc.constantFrom('replace', 'remove', 'add', 'copy'),
	key,
	value,
});

function apply(valid: Json, changes: readonly Change[]): string {
	const copy = structuredClone(valid);
	for (const {at, how, key: name, value: replacement} of changes) {
		const all = places(copy);
		const [parent, own] = all[at % Math.max(1, all.length)] ?? [copy as object, name];
		const target = how === 'add' ? name : own;
		const content = how === 'copy' ? structuredClone(valueAt(all, at * 7)) : replacement;
		if (how === 'remove') Reflect.deleteProperty(parent, own);
		// defined, not assigned: __proto__ is to be a key as it is in the text of a file
		else Object.defineProperty(parent, target, {value: content, enumerable: true, configurable: true, writable: true});
	}

	return JSON.stringify(copy);
}

/** A change of a few characters somewhere. */
export const splice = fc.record({
	at: fc.nat(),
	remove: fc.nat({max: 4}),
	insert: fc.oneof(
		fc.constantFrom(
			'',
			'"',
			'{',
			'}',
			'[',
			']',
			',',
			':',
			'\\',
			'0',
			'-',
			'e9',
			'1e999',
			'null',
			'\u0000',
			'\uFEFF',
			'\uD800',
		),
		fc.string({maxLength: 4}),
	),
});

/** The content of a file: any JSON, the valid text with some values or keys changed, or with some characters changed. */
export function tampered(valid: unknown): fc.Arbitrary<Buffer> {
	const text = JSON.stringify(valid);
	return fc
		.oneof(
			{weight: 1, arbitrary: fc.json()},
			{weight: 4, arbitrary: fc.array(change, {minLength: 1, maxLength: 3}).map(list => apply(valid as Json, list))},
			{
				weight: 2,
				arbitrary: fc.array(splice, {minLength: 1, maxLength: 3}).map(list => spliceAll(text, list)),
			},
		)
		.map(content => Buffer.from(content));
}

/** The text with a few characters changed in some places. */
export function spliceAll(
	text: string,
	changes: readonly {readonly at: number; readonly remove: number; readonly insert: string}[],
): string {
	return changes.reduce((content, {at, remove, insert}) => {
		const offset = at % (content.length + 1);
		return content.slice(0, offset) + insert + content.slice(offset + remove);
	}, text);
}
