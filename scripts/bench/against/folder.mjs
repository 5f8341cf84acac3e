// A temporary folder that is gone when its work ends, and when the process ends.
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

const exitCodes = {SIGINT: 130, SIGTERM: 143};

/** Resolves to what `work` resolves to. */
export async function withFolder(work) {
	const folder = mkdtempSync(path.join(tmpdir(), 'dllm-native-bench-'));
	const remove = () => rmSync(folder, {recursive: true, force: true});
	const end = signal => process.exit(exitCodes[signal]);
	process.once('exit', remove);
	for (const signal of Object.keys(exitCodes)) process.once(signal, end);
	try {
		return await work(folder);
	} finally {
		for (const signal of Object.keys(exitCodes)) process.off(signal, end);
		process.off('exit', remove);
		remove();
	}
}
