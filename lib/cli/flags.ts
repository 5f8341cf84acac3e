// One flag for every key of a config: parsed and checked by the config's own schema.

import type {Command} from 'commander';
import {InvalidArgumentError, Option} from 'commander';
import type {z} from 'zod';
import {check} from '../config/check.js';
import {modelSchema} from '../config/model.js';
import {sampleSchema} from '../config/sample.js';
import {trainSchema} from '../config/train.js';
import {type ConfigKey, configKeys} from '../config.js';
import {type DeviceName, dtypes, isDeviceName} from '../devices.js';
import {UsageError} from './exit.js';
import {toKebabCase} from './spelling.js';

/** Every key optional: a command line sets a few of them. */
const schemas = {model: modelSchema.partial(), train: trainSchema.partial(), sample: sampleSchema.partial()};

type Kind = keyof typeof schemas;

type FlagSelection = {
	/** Heading in the help text. */
	readonly heading: string;
	/** Keys that the command has no use for, or asks for in another way. */
	readonly without?: readonly string[];
	/** The only keys that it has. @default all */
	readonly only?: readonly string[];
};

const placeholders = {integer: 'integer', number: 'number', boolean: 'true|false', string: 'name', numbers: 'a,b'};

function selectKeys(kind: Kind, {without = [], only}: FlagSelection): ConfigKey[] {
	return configKeys(kind).filter(({name}) => !without.includes(name) && (only?.includes(name) ?? true));
}

/** Adds a flag for every key of a config to the command. */
export function addConfigFlags(command: Command, kind: Kind, selection: FlagSelection): void {
	for (const key of selectKeys(kind, selection)) {
		const placeholder = key.choices ? key.choices.join('|') : placeholders[key.type];
		const defaults = key.default === undefined ? '' : ` (default: ${String(key.default)})`;
		const option = new Option(`--${toKebabCase(key.name)} <${placeholder}>`, `${key.description}${defaults}`);
		command.addOption(option.argParser(text => parseFlag(kind, key, text)).helpGroup(selection.heading));
	}
}

function parseFlag(kind: Kind, key: ConfigKey, text: string): unknown {
	const value = convert(key.type, text);
	const {error} = schemas[kind].safeParse(nest(key.path, value));
	// other issues are about keys that other flags may bring
	if (error?.issues.some(({path}) => key.path.every((part, index) => path[index] === part))) {
		throw new InvalidArgumentError(`It takes ${key.accepts}.`);
	}

	return value;
}

function convert(type: ConfigKey['type'], text: string): unknown {
	if (type === 'string') return text;
	if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
	const numbers = text.split(',').map(part => (part.trim() === '' ? Number.NaN : Number(part)));
	return type === 'numbers' ? numbers : numbers.length === 1 ? numbers[0] : Number.NaN;
}

function nest(path: readonly string[], value: unknown): unknown {
	return path.reduceRight<unknown>((inner, part) => ({[part]: inner}), value);
}

/**
 * The part of a config that flags set: `{minTime: 0.01}` of the command line is `{objective: {minTime: 0.01}}`.
 * @throws UsageError when flags do not fit together.
 */
export function configFromFlags<K extends Kind>(
	kind: K,
	values: Readonly<Record<string, unknown>>,
	selection: FlagSelection,
): z.input<(typeof schemas)[K]> {
	const config: Record<string, unknown> = {};
	for (const {name, path} of selectKeys(kind, selection)) {
		if (values[name] === undefined) continue;
		const [key, inner] = path as [string, string | undefined];
		config[key] = inner === undefined ? values[name] : {...(config[key] as object | undefined), [inner]: values[name]};
	}

	check(schemas[kind], config, {name: 'the flags', fail: message => new UsageError(message)});
	return config as z.input<(typeof schemas)[K]>;
}

/** A parser for counts that are no key of a config. */
export function parseCount(text: string): number {
	const value = text.trim() === '' ? Number.NaN : Number(text);
	if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It takes an integer of at least 1.');
	return value;
}

/** Adds `--device` and `--dtype`, whose default the help text names. */
export function addDeviceFlags(command: Command, defaultDtype = 'bfloat16 on CUDA, float32 on the CPU'): void {
	command
		.option('--device <device>', 'auto, cpu or cuda:N (default: auto)', parseDevice)
		.addOption(new Option('--dtype <dtype>', `what is computed in (default: ${defaultDtype})`).choices(dtypes));
}

/** A parser for `auto`, `cpu` and `cuda:N`. */
function parseDevice(text: string): DeviceName {
	if (!isDeviceName(text)) throw new InvalidArgumentError('It takes auto, cpu or cuda:N.');
	return text;
}
