// Checks the arguments that no schema describes: options, batches, paths, objects of a class.
import {ConfigError} from '../errors.js';
import {describeUnknownKey, show} from './check.js';

/** @throws ConfigError naming the argument, what it got and what it takes, unless it is right. */
export function checkArgument(name: string, value: unknown, isRight: boolean, accepted: string): void {
	if (isRight) return;
	throw new ConfigError(`${name} is ${value === undefined ? 'missing' : show(value)}; accepted: ${accepted}`);
}

/** An object with none but these keys. @throws ConfigError naming the argument, the unknown key and the nearest known one. */
export function checkKeys(name: string, value: unknown, known: readonly string[]): void {
	const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
	checkArgument(name, value, isObject, `an object with the keys ${known.join(', ')}`);
	const unknown = Object.keys(value as object).find(key => !known.includes(key));
	if (unknown !== undefined) throw new ConfigError(`${name}: ${describeUnknownKey(unknown, [], known)}`);
}

/** A class, whether or not its constructor is private. */
type Class = {readonly name: string; [Symbol.hasInstance](value: unknown): boolean};

/** An object of a class. @throws ConfigError */
export function checkInstance(name: string, value: unknown, type: Class): void {
	checkArgument(name, value, value instanceof type, `${/^[AEIOU]/.test(type.name) ? 'an' : 'a'} ${type.name}`);
}

/** The path of a file or folder. @throws ConfigError */
export function checkPath(name: string, value: unknown): void {
	checkArgument(name, value, typeof value === 'string' && value !== '', 'a path');
}

/** Text, which may be empty. @throws ConfigError */
export function checkString(name: string, value: unknown): void {
	checkArgument(name, value, typeof value === 'string', 'a string');
}

/** @throws ConfigError */
export function checkBoolean(name: string, value: unknown): void {
	checkArgument(name, value, typeof value === 'boolean', 'true or false');
}
