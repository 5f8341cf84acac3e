// What every report of a comparison says about where it was made, how it is written, and the progress that is written meanwhile.
import {readFileSync, renameSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import {fileURLToPath} from 'node:url';

const packageFile = fileURLToPath(new URL('../../../package.json', import.meta.url));

export const loadAverage = () => os.loadavg()[0].toFixed(1);

/** Writes lines to standard error, each with the seconds since the first call. */
export function startProgress() {
	const begin = performance.now();
	return line => console.error(`${((performance.now() - begin) / 1000).toFixed(0).padStart(5)} s  ${line}`);
}

/** Writes a report, as a whole or not at all: a benchmark may be ended at any time. */
export function writeReport(file, report) {
	writeFileSync(`${file}.tmp`, `${JSON.stringify(report, null, '\t')}\n`);
	renameSync(`${file}.tmp`, file);
}

/** The head of a report: what was run, when, on what. DLLM_THREADS must have been set: it is read when the addon loads. */
export async function describeRun(benchmark, command) {
	const {listDevices} = await import('../../../dist/lib/index.js');
	const {name: processor, details} = (await listDevices())[0];
	const {DLLM_CPU} = process.env;
	return {
		benchmark,
		command: DLLM_CPU ? `DLLM_CPU=${DLLM_CPU} ${command}` : command,
		date: new Date().toISOString(),
		device: {processor, instructionSet: details.path, threads: details.threads, system: `${os.type()} ${os.release()}`},
		node: process.version,
		dllmNative: JSON.parse(readFileSync(packageFile, 'utf8')).version,
	};
}
