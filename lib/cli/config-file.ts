// Reads a --config file: JSON whose keys are those of the config, and a few of the command's own.
import type {z} from 'zod';
import {check} from '../config/check.js';
import {ConfigError} from '../errors.js';
import {readJsonFile} from '../files.js';

/**
 * @returns The keys that the file has; defaults are not filled in, so that presets and flags can be merged with it.
 * @throws ConfigError naming the file and the key, what it got and what it takes, or the nearest key that exists.
 */
export async function readConfigFile<S extends z.ZodType>(file: string, schema: S): Promise<z.input<S>> {
	const value = await readJsonFile(file, 'config file', {maxBytes: 2 ** 20, error: ConfigError});
	check(schema, value, {name: file, fail: message => new ConfigError(message)});
	return value as z.input<S>;
}
