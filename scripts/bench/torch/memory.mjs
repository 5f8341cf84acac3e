// Peak resident memory of a training step, less what the process had before the model: fresh processes, a few steps each.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {runProgram} from './peers.mjs';

const steps = 3;
const ourProgram = fileURLToPath(new URL('our-memory.mjs', import.meta.url));
const modes = {
	'eager-masked': {execution: 'eager', head: 'masked', dtype: 'float32'},
	'eager-all': {execution: 'eager', head: 'all', dtype: 'float32'},
};

function readGrowth(name, {status, stdout, stderr, error}) {
	if (error) throw error;
	if (status !== 0) throw new Error(`measuring the memory of ${name} ended with exit code ${status}:\n${stderr}`);
	const {baseline, peak} = JSON.parse(stdout);
	return {baseline, peak, growth: peak - baseline};
}

/**
 * @param folder A checkpoint and its batches.
 * @returns Bytes: ours and each of PyTorch's, {baseline, peak, growth} and the ratio of the growths; or why it was not measured.
 */
export function measureMemory(work, folder, {dtype, environment}) {
	if (!existsSync('/proc/self/clear_refs')) {
		return {
			failure:
				'not measured: it needs /proc/self/clear_refs, which forgets the peak that loading the libraries has made',
		};
	}

	const {model, recipe, batch} = work;
	const settings = JSON.stringify({folder, dtype, model, recipe, batch, steps});
	const child = spawnSync(process.execPath, ['--expose-gc', ourProgram, settings], {encoding: 'utf8'});
	const ours = readGrowth('dllm-native', child);
	const torch = Object.entries(modes).map(([name, mode]) => {
		const args = [JSON.stringify({...mode, folder, device: 'cpu', recipe}), String(steps)];
		const growth = readGrowth(`PyTorch ${name}`, runProgram('memory', args, environment));
		return {name, ...growth, ratio: growth.growth / ours.growth};
	});
	return {steps, ours, torch};
}
