// Spellings of flags: --batch_size, --batchSize and --batch-size mean the same, and a key of the configuration becomes a flag.
import type {Command} from 'commander';

/** `batchSize` -> `batch-size`. */
export function toKebabCase(key: string): string {
	return key.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** Rewrites `--batch_size` and `--batchSize` to `--batch-size` where a command has that flag; every other argument stays as it is. */
export function normalizeFlags(program: Command, args: readonly string[]): string[] {
	const known = new Set(program.commands.flatMap(command => command.options.map(option => option.long)));
	const end = args.includes('--') ? args.indexOf('--') : args.length;
	return args.map((argument, index) => {
		if (index > end || !argument.startsWith('--')) return argument;
		const [name = '', ...value] = argument.split('=');
		const normalized = toKebabCase(name).replaceAll('_', '-');
		return known.has(normalized) ? [normalized, ...value].join('=') : argument;
	});
}
