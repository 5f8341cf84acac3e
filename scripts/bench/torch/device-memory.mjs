// The most memory of a GPU that a program takes, as the driver reports it: asked again and again while the program runs. Both sides
// keep what they have taken until they end, so that no peak is missed between two answers.
import {spawn} from 'node:child_process';
import {setTimeout as sleep} from 'node:timers/promises';
import {readUsedMemory} from '../../nvidia-smi.mjs';

/**
 * Runs a program to its end.
 * @returns Bytes of GPU 0: {baseline: before, peak, growth, readings: how many there were}
 */
export async function measurePeak(name, [command, ...args], environment) {
	const baseline = await readUsedMemory();
	const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'inherit'], env: {...process.env, ...environment}});
	const ended = new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (code, signal) => resolve({end: signal ?? code}));
	});
	let peak = baseline;
	let readings = 0;
	let result;
	try {
		while (result === undefined) {
			peak = Math.max(peak, await readUsedMemory());
			readings++;
			result = await Promise.race([ended, sleep(20)]);
		}
	} finally {
		child.kill(); // where its memory cannot be read
	}

	if (result.end !== 0) throw new Error(`measuring the memory of ${name} ended with ${result.end}`);
	return {baseline, peak, growth: peak - baseline, readings};
}
