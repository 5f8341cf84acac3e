// What a schema accepts, in words, read from its JSON Schema form: error messages and command-line help share it.
import {z} from 'zod';

/** The part of JSON Schema that our schemas turn into. */
export type Node = {
	readonly type?: string;
	readonly description?: string;
	readonly default?: unknown;
	readonly const?: unknown;
	readonly enum?: readonly unknown[];
	readonly minimum?: number;
	readonly maximum?: number;
	readonly exclusiveMinimum?: number;
	readonly exclusiveMaximum?: number;
	readonly properties?: Readonly<Record<string, Node>>;
	readonly prefixItems?: readonly Node[];
	readonly anyOf?: readonly Node[];
	readonly oneOf?: readonly Node[];
};

const roots = new WeakMap<z.ZodType, Node>();

export function rootNode(schema: z.ZodType): Node {
	let root = roots.get(schema);
	if (root === undefined) {
		root = z.toJSONSchema(schema, {io: 'input'}) as Node;
		roots.set(schema, root);
	}

	return root;
}

/** The alternatives of a union, or the node itself. */
export function alternatives(node: Node): readonly Node[] {
	return node.anyOf ?? node.oneOf ?? [node];
}

/** The part of a schema that a path leads to; `value` decides which alternative of a union by its `kind`. */
export function nodeAt(root: Node, path: readonly PropertyKey[], value: unknown): Node {
	let node = alternativeFor(root, value);
	let at = value;
	for (const part of path) {
		at = typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[part] : undefined;
		const next = typeof part === 'number' ? node.prefixItems?.[part] : property(node, String(part));
		if (next === undefined) return node;
		node = alternativeFor(next, at);
	}

	return node;
}

function alternativeFor(node: Node, value: unknown): Node {
	const kind = typeof value === 'object' && value !== null ? (value as {kind?: unknown}).kind : undefined;
	if (kind === undefined && (typeof value !== 'object' || value === null)) return node;
	const objects = alternatives(node).filter(({properties}) => properties);
	const matching = objects.find(({properties}) => {
		const accepted = properties!.kind;
		return accepted?.const === undefined
			? accepted?.enum?.includes(kind)
			: accepted.const === (kind ?? accepted.default);
	});
	return matching ?? (objects.length === 1 ? objects[0]! : node);
}

/** One key of an object; for a key that several alternatives have, all of its forms. */
function property(node: Node, key: string): Node | undefined {
	const found = alternatives(node).flatMap(({properties}) => properties?.[key] ?? []);
	return found.length > 1 ? {anyOf: found} : found[0];
}

export function knownKeys(node: Node): readonly string[] {
	return [...new Set(alternatives(node).flatMap(({properties}) => Object.keys(properties ?? {})))];
}

/** The constants that a node lists, if it lists nothing else. */
export function choices(node: Node): readonly unknown[] | undefined {
	const listed = alternatives(node).map(constants);
	return listed.every(({length}) => length > 0) ? listed.flat() : undefined;
}

function constants({type, const: constant, enum: values}: Node): readonly unknown[] {
	if (type === 'null') return [null];
	return values ?? (constant === undefined ? [] : [constant]);
}

/** "an integer of at least 1", "\"constant\" or \"cosine\"", "a list of 2, each a number from 0 to 1". */
export function accepts(node: Node): string {
	const listed = choices(node);
	if (listed) return either(listed.map(value => JSON.stringify(value)));
	const parts = alternatives(node);
	if (parts.length > 1) return either(parts.map(accepts));
	if (node.prefixItems) return `a list of ${node.prefixItems.length}, each ${accepts(node.prefixItems[0]!)}`;
	if (node.properties) return `an object with the keys ${knownKeys(node).join(', ')}`;
	if (node.type === 'integer') return `an integer${range(node)}`;
	if (node.type === 'number') return `a number${range(node)}`;
	return {boolean: 'true or false', null: 'null', string: 'a string'}[node.type ?? ''] ?? 'any value';
}

function either(words: readonly string[]): string {
	return words.length < 3 ? words.join(' or ') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

// The limits of exact integers are zod's, not ours.
function range({minimum, maximum, exclusiveMinimum, exclusiveMaximum}: Node): string {
	const limit = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
	const least = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
	if (least !== undefined && limit !== undefined) return ` from ${least} to ${limit}`;
	const bounds = [
		least === undefined ? '' : `of at least ${least}`,
		exclusiveMinimum === undefined ? '' : `above ${exclusiveMinimum}`,
		limit === undefined ? '' : `of at most ${limit}`,
		exclusiveMaximum === undefined ? '' : `below ${exclusiveMaximum}`,
	].filter(bound => bound !== '');
	return bounds.length === 0 ? '' : ` ${bounds.join(' and ')}`;
}
