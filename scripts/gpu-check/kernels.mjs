// The time of every op of a training step at GPT-2's size, against the GPU's own limits.
import {measure} from '../bench/kernels.mjs';

/** Ops that take most of the step, for people; the report has all of them. */
export async function timeKernels({built, dryRun}, dtype) {
	const shape = dryRun ? 'tiny' : 'gpt2';
	const report = await measure(built.kernels, {shape, device: 'cuda:0', dtype, env: built.env});
	for (const {op, calls, seconds, fraction} of report.ops.slice(0, 25)) {
		const columns = [op.padEnd(52), calls.toFixed(0).padStart(5), (seconds * 1e3).toFixed(3).padStart(9)];
		console.error(`${columns.join('')} ms ${fraction.toFixed(2).padStart(6)}`);
	}

	const {stepSeconds, floor, fraction, limits} = report;
	return {stepSeconds, floor, fraction, arithmetic: limits.arithmetic, copy: limits.copy, report};
}
