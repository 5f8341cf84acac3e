#!/usr/bin/env node
// The command line: finds the command, loads that one file, and turns what it throws into an exit code.
import {readFileSync} from 'node:fs';
import process from 'node:process';
import {Command, CommanderError} from 'commander';
import {exitCodes, handleUncaught, reportError} from './exit.js';
import {handleClosedOutput} from './output.js';
import {normalizeFlags} from './spelling.js';

type Entry = {
	readonly name: string;
	readonly summary: string;
	/** Adds arguments, flags and the action. Loaded only for the command that runs, so that --help stays fast. */
	readonly load: () => Promise<{register(command: Command): void}>;
};

const entries: readonly Entry[] = [
	{name: 'prepare', summary: 'turn text into a dataset', load: () => import('./prepare.js')},
	{name: 'train', summary: 'train a model, or continue a run', load: () => import('./train.js')},
	{name: 'sample', summary: 'generate text with a trained model', load: () => import('./sample.js')},
	{name: 'eval', summary: 'measure the validation bound of a model', load: () => import('./eval.js')},
	{name: 'bench', summary: 'compare speed with tfjs on this machine', load: () => import('./bench.js')},
	{name: 'info', summary: 'show versions, devices and how the addon was built', load: () => import('./info.js')},
	{name: 'build', summary: 'build the native addon in place', load: () => import('./build.js')},
];

function packageVersion(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
	return (manifest as {version: string}).version;
}

async function createProgram(args: readonly string[]): Promise<Command> {
	const program = new Command('dllm-native')
		.description('Train and sample masked-diffusion language models.')
		.version(packageVersion(), '-v, --version')
		.exitOverride()
		.showSuggestionAfterError()
		.addHelpText('after', '\nStart with: dllm-native train');
	const requested = args.find(argument => entries.some(entry => entry.name === argument));
	for (const {name, summary, load} of entries) {
		const command = program
			.command(name)
			.summary(summary)
			.description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`);
		if (name === requested) (await load()).register(command);
	}

	return program;
}

async function main(args: readonly string[]): Promise<number> {
	try {
		const program = await createProgram(args);
		await program.parseAsync(normalizeFlags(program, args), {from: 'user'});
		return exitCodes.ok;
	} catch (error) {
		if (!(error instanceof CommanderError)) return reportError(error);
		// commander has printed its message; it exits with 0 after --help and --version
		return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
	}
}

handleUncaught();
handleClosedOutput();
const exitCode = await main(process.argv.slice(2));
// output that could not be written has set it
process.exitCode ||= exitCode;
