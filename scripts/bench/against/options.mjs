// Options of a benchmark's command line, and what is said when they are wrong.
import {parseArgs} from 'node:util';

/** The command line is wrong, or something that it asks for is not there. */
export class UsageError extends Error {
	exitCode = 2;
}

/** The values of a command line's options, as `parseArgs` takes them. */
export function parseOptions(args, options) {
	try {
		return parseArgs({args, options}).values;
	} catch (error) {
		throw new UsageError(error.message);
	}
}

export function count(name, text) {
	const value = Number(text);
	if (!Number.isSafeInteger(value) || value < 1)
		throw new UsageError(`--${name} is ${text}; accepted: an integer of at least 1`);
	return value;
}

/** Some of the known names, separated by commas, or all. */
export function choose(name, text, known) {
	const chosen = text === 'all' ? known : text.split(',');
	const wrong = chosen.find(item => !known.includes(item));
	if (wrong !== undefined) throw new UsageError(`--${name} has ${wrong}; accepted: all, ${known.join(', ')}`);
	return chosen;
}

/** One of the known names; undefined when the option is not given. */
export function chooseOne(name, text, known) {
	if (text === undefined || known.includes(text)) return text;
	throw new UsageError(`--${name} is ${text}; accepted: ${known.join(', ')}`);
}
