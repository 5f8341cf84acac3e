// Failing calls to the system: the preloaded library of faults.cpp, and the orders that a process under it gives.
import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';

// This file runs as dist/test/support/faults.js.
const source = fileURLToPath(new URL('../../../test/support/faults.cpp', import.meta.url));

/** Compiles the library into a folder. Undefined, with the reason printed, where there is no compiler for it. */
export async function compileFaults(folder: string): Promise<string | undefined> {
	const library = path.join(folder, 'faults.so');
	const compiler = process.env.CXX || 'g++';
	try {
		if (process.platform !== 'linux') throw new Error('it is made for Linux');
		await promisify(execFile)(compiler, ['-std=c++20', '-O1', '-shared', '-fPIC', source, '-o', library, '-ldl']);
		return library;
	} catch (error) {
		console.error(`SKIPPED: faults.cpp cannot be compiled: ${(error as Error).message}`);
		return undefined;
	}
}

/** The environment of a process that runs under the library. With io_uring calls would not pass through it. */
export function faultEnvironment(library: string): Record<string, string> {
	return {LD_PRELOAD: library, UV_USE_IO_URING: '0', DLLM_THREADS: '1'};
}

/** A counted call: `create`, `write`, `sync`, `rename`, `mkdir` or `close`, and the paths it names. */
export type Call = {readonly kind: string; readonly paths: readonly string[]};

/** Watches a folder; forgets the calls before. */
export function watch(folder: string): void {
	order(`below${folder}`);
}

/** Makes the next calls fail as told; returns the calls since the order before. */
export function order(text: string): Call[] {
	return readFileSync(`/@faults/${text}`, 'utf8')
		.split('\n')
		.slice(0, -1)
		.map(line => {
			const [kind = '', ...paths] = line.split(' ');
			return {kind, paths};
		});
}
