// Lists the keys of a config for command lines: name, type, default and description, nested keys flattened.
import {checkArgument} from './arguments.js';
import {accepts, alternatives, choices, knownKeys, type Node, rootNode} from './describe.js';
import {modelSchema} from './model.js';
import {sampleSchema} from './sample.js';
import {trainSchema} from './train.js';

export type ConfigKey = {
	/** `objective` for `objective.kind`, `minTime` for `objective.minTime`, `finalNormEps` for `finalNorm.eps`. */
	readonly name: string;
	/** Where the value belongs in the config: `['objective', 'minTime']`. */
	readonly path: readonly string[];
	/** `numbers` is a list of numbers. */
	readonly type: 'integer' | 'number' | 'boolean' | 'string' | 'numbers';
	/** The values that a `string` key takes. */
	readonly choices?: readonly string[];
	/** Undefined when the key is required or its default depends on other keys, which the description then says. */
	readonly default?: unknown;
	/** What the key takes, in words: "an integer of at least 1". */
	readonly accepts: string;
	readonly description: string;
};

const schemas = {model: modelSchema, train: trainSchema, sample: sampleSchema};

/** The keys of a ModelConfig, TrainConfig or SampleConfig, in documentation order. */
export function configKeys(config: keyof typeof schemas): readonly ConfigKey[] {
	checkArgument('the config', config, Object.hasOwn(schemas, config), '"model", "train" or "sample"');
	const root = rootNode(schemas[config]);
	return knownKeys(root).flatMap(key => flatten([key], root.properties![key]!));
}

function flatten(path: readonly string[], node: Node): ConfigKey[] {
	const [parent] = path as [string];
	const objects = alternatives(node).filter(({properties}) => properties);
	if (objects.length === 0) return [toKey(parent, path, node, node.description)];
	return knownKeys({anyOf: objects}).map(leaf => {
		const forms = objects.flatMap(({properties}) => properties![leaf] ?? []);
		const form =
			forms.length > 1 ? {anyOf: forms, default: forms.find(form => form.default !== undefined)?.default} : forms[0]!;
		const description = leaf === 'kind' ? node.description : (form.description ?? `${leaf} of ${parent}`);
		return toKey(leafName(parent, leaf), [parent, leaf], form, description);
	});
}

// Only the norms need their parent's name: two of them have the same keys.
function leafName(parent: string, leaf: string): string {
	if (leaf === 'kind') return parent;
	return parent === 'objective' ? leaf : `${parent}${leaf[0]!.toUpperCase()}${leaf.slice(1)}`;
}

function toKey(name: string, path: readonly string[], node: Node, description = ''): ConfigKey {
	const listed = choices(node);
	return {
		name,
		path,
		type: listed ? 'string' : node.prefixItems ? 'numbers' : (node.type as 'integer' | 'number' | 'boolean' | 'string'),
		...(listed && {choices: listed as readonly string[]}),
		default: node.default,
		accepts: accepts(node),
		description,
	};
}
