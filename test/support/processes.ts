// Process ids, and the warnings of this process.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {setImmediate} from 'node:timers/promises';

/** The id of a process that has ended. */
export async function deadPid(): Promise<number> {
	const child = spawn(process.execPath, ['-e', '']);
	await once(child, 'close');
	return child.pid!;
}

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a call, and returns its result and the warnings that were emitted meanwhile, which are not printed. One call at a
 * time: other tests of the same file must not warn.
 */
export async function warningsOf<T>(
	call: () => Promise<T>,
): Promise<{value: T; warnings: (Error & {readonly code?: string})[]}> {
	const run = async () => {
		const warnings: Error[] = [];
		const printing = process.listeners('warning');
		process.removeAllListeners('warning').on('warning', warning => warnings.push(warning));
		try {
			const value = await call();
			await setImmediate(); // warnings are emitted on the next tick
			return {value, warnings};
		} finally {
			process.removeAllListeners('warning');
			for (const listener of printing) process.on('warning', listener);
		}
	};
	const result = last.then(run);
	last = result.catch(() => {});
	return result;
}
