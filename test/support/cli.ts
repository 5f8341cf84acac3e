// Runs the compiled command line as a user does: a process of its own, in a folder of its own.
import {spawn} from 'node:child_process';
import {open, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {temporaryFolder} from './folders.js';
import {tinyText} from './tiny.js';

// This file runs as dist/test/support/cli.js.
const cliPath = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

export const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));

export type Outcome = {
	/** Exit code, or the name of the signal that ended the process. */
	readonly code: number | string;
	readonly stdout: string;
	readonly stderr: string;
};

export type RunOptions = {
	readonly cwd?: string;
	/** Undefined removes a variable. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Another copy of the command line. */
	readonly program?: string;
	/** Sent once the output contains the text, and a second time `again` milliseconds later. */
	readonly signal?: {readonly name: NodeJS.Signals; readonly after: string; readonly again?: number};
	/** Closes our end of its standard output after this many bytes, as `| head` does. */
	readonly closeAfter?: number;
	/** Where its standard output goes instead of to us. */
	readonly outputFile?: string;
};

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
	const {cwd, env, program = cliPath, signal, closeAfter = Number.POSITIVE_INFINITY, outputFile} = options;
	// no proxy or data folder of the machine may change what a test does
	const {DLLM_DATA: _data, DLLM_SHAKESPEARE_URL: _url, CI: _ci, ...inherited} = process.env;
	await using file = outputFile === undefined ? undefined : await open(outputFile, 'w');
	const child = spawn(process.execPath, [program, ...args], {
		cwd,
		env: {...inherited, DLLM_THREADS: '1', ...env},
		stdio: ['ignore', file?.fd ?? 'pipe', 'pipe'],
	});
	let stdout = '';
	let stderr = '';
	let isSignalled = false;
	child.stdout?.setEncoding('utf8').on('data', (text: string) => {
		stdout += text;
		if (stdout.length > closeAfter) child.stdout?.destroy();
		if (signal && !isSignalled && stdout.includes(signal.after)) {
			isSignalled = true;
			child.kill(signal.name);
			if (signal.again !== undefined) setTimeout(() => child.kill(signal.name), signal.again);
		}
	});
	child.stderr?.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	return await new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (code, killed) => resolve({code: code ?? killed ?? 'unknown', stdout, stderr}));
	});
}

/** The objects of JSON lines; fails on a line that is none. */
export function parseLines(text: string): Record<string, unknown>[] {
	const lines = text.split('\n');
	if (lines.pop() !== '') throw new Error('the last line does not end');
	return lines.map(line => JSON.parse(line) as Record<string, unknown>);
}

/** A temporary folder with a short text in it, text.txt. */
export async function textFolder(t: ExecutionContext): Promise<string> {
	const folder = await temporaryFolder(t);
	await writeFile(path.join(folder, 'text.txt'), tinyText);
	return folder;
}

/** Flags of a model that trains in a moment. */
export const tinyFlags = [
	'--layers=1',
	'--heads=2',
	'--width=16',
	'--context-length=16',
	'--batch-size=4',
	'--eval-batches=2',
];
