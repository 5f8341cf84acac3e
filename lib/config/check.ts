// Checks a value against a schema and says in one line what is wrong: the key, what it got and what it takes.
import type {z} from 'zod';
import {accepts, knownKeys, type Node, nodeAt, rootNode} from './describe.js';

export type Fail = (message: string) => Error;

/** Whose rule was broken. */
export type Blame = {
	/** What the message begins with: the name of a type or a file. */
	readonly name: string;
	readonly fail: Fail;
};

/**
 * The value with its defaults filled in. Throws what `fail` makes of the first thing that is wrong; of an unknown key if there
 * is one, because a misspelt key is missing too.
 */
export function check<S extends z.ZodType>(schema: S, value: unknown, {name, fail}: Blame): z.output<S> {
	const result = schema.safeParse(value, {reportInput: true});
	if (result.success) return result.data;
	const {issues} = result.error;
	const issue = issues.find(({code}) => code === 'unrecognized_keys') ?? issues[0]!;
	throw fail(`${name}: ${describeIssue(issue, rootNode(schema), value)}`);
}

/** An explicit undefined means that a key is not given: it must not replace a default. */
export function withoutUndefined<T extends object>(value: T): {[K in keyof T]: Exclude<T[K], undefined>} {
	return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}

function describeIssue(issue: z.core.$ZodIssue, root: Node, value: unknown): string {
	const node = nodeAt(root, issue.path, value);
	if (issue.code === 'unrecognized_keys') return describeUnknownKey(issue.keys[0]!, issue.path, knownKeys(node));
	const key = issue.path.length === 0 ? 'the value' : keyText(issue.path);
	const found = valueAt(value, issue.path);
	return `${key} is ${found === undefined ? 'missing' : show(found)}; accepted: ${accepts(node)}`;
}

/** What is said of a key that is not among the known ones. */
export function describeUnknownKey(key: string, path: readonly PropertyKey[], known: readonly string[]): string {
	const nearest = nearestKey(key, known);
	const hint = nearest === undefined ? '' : ` Did you mean ${JSON.stringify(nearest)}?`;
	const place = path.length === 0 ? '' : ` in ${keyText(path)}`;
	return `unknown key ${show(key)}${place}.${hint} Accepted keys: ${known.join(', ')}`;
}

function keyText(path: readonly PropertyKey[]): string {
	return path
		.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
		.join('');
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
	return path.reduce<unknown>(
		(at, part) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[part] : undefined),
		value,
	);
}

/** A value as an error message shows it: short, on one line. */
export function show(value: unknown): string {
	if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'function')
		return `${value}`.slice(0, 60);
	if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
	const text = toText(value);
	return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function toText(value: unknown): string {
	try {
		return JSON.stringify(value) ?? String(value);
	} catch {
		return 'an object that JSON cannot show'; // it has a cycle or a bigint; the message is about something else
	}
}

/** The known key that the unknown one was most likely meant to be, or undefined when none is close. */
export function nearestKey(key: string, known: readonly string[]): string | undefined {
	if (key.length > 64) return undefined; // no misspelling
	const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
	const ranked = known.map(candidate => ({candidate, distance: editDistance(plain(key), plain(candidate))}));
	ranked.sort((a, b) => a.distance - b.distance);
	const [best] = ranked;
	return best && best.distance <= Math.max(1, Math.floor(key.length / 3)) ? best.candidate : undefined;
}

/** Insertions, deletions, substitutions, and two neighbours swapped, each part of the text changed once. */
function editDistance(a: string, b: string): number {
	let before: number[] = [];
	let row = Array.from({length: b.length + 1}, (_, j) => j);
	for (let i = 1; i <= a.length; i++) {
		const next = [i];
		for (let j = 1; j <= b.length; j++) {
			const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
			const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
			const swapped = isSwap ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY;
			next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, replaced, swapped));
		}

		before = row;
		row = next;
	}

	return row[b.length]!;
}
