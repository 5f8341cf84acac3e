// Peak memory of a training step in fresh processes of a few steps each. On the CPU resident memory, less what the process had before
// the model; on a GPU what the driver says is in use, less what was before the process.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {measurePeak} from './device-memory.mjs';
import {programCommand, runProgram, trainingSettings} from './peers.mjs';

const steps = 3;
const ourProgram = fileURLToPath(new URL('our-memory.mjs', import.meta.url));
const residentModes = {
	'eager-masked-float32': {execution: 'eager', head: 'masked', dtype: 'float32'},
	'eager-all-float32': {execution: 'eager', head: 'all', dtype: 'float32'},
};

function readGrowth(name, {status, stdout, stderr, error}) {
	if (error) throw error;
	if (status !== 0) throw new Error(`measuring the memory of ${name} ended with exit code ${status}:\n${stderr}`);
	const {baseline, peak} = JSON.parse(stdout);
	return {baseline, peak, growth: peak - baseline};
}

/**
 * @param folder A checkpoint and its batches.
 * @param save function of what is known so far, on a GPU after every mode
 * @returns Bytes: ours and each of PyTorch's, {baseline, peak, growth} and the ratio of the growths; or why it was not measured.
 */
export async function measureMemory(work, folder, options, save) {
	return options.device === 'cpu' ? measureResident(work, folder, options) : measureDevice(work, folder, options, save);
}

function ourSettings({model, recipe, batch}, {folder, device, dtype}) {
	return JSON.stringify({folder, device, dtype, model, recipe, batch, steps});
}

async function measureDevice(work, folder, {dtype, modes, environment}, save) {
	const ourCommand = [
		process.execPath,
		'--expose-gc',
		ourProgram,
		ourSettings(work, {folder, device: 'cuda:0', dtype}),
	];
	const ours = await measurePeak('dllm-native', ourCommand, {});
	const torch = [];
	for (const mode of modes) {
		const settings = trainingSettings(mode, {folder, device: 'cuda', recipe: work.recipe});
		const command = programCommand('memory', [settings, String(steps)]);
		try {
			const found = await measurePeak(`PyTorch ${mode.name}`, command, environment);
			torch.push({name: mode.name, ...found, ratio: found.growth / ours.growth});
		} catch (error) {
			torch.push({name: mode.name, failure: error.message}); // as in training, the other modes are measured
		}

		save({steps, ours, torch});
	}

	return {steps, ours, torch};
}

function measureResident(work, folder, {dtype, environment}) {
	if (!existsSync('/proc/self/clear_refs')) {
		return {
			failure:
				'not measured: it needs /proc/self/clear_refs, which forgets the peak that loading the libraries has made',
		};
	}

	const own = ourSettings(work, {folder, device: 'cpu', dtype});
	const child = spawnSync(process.execPath, ['--expose-gc', ourProgram, own], {encoding: 'utf8'});
	const ours = readGrowth('dllm-native', child);
	const torch = Object.entries(residentModes).map(([name, mode]) => {
		const settings = trainingSettings(mode, {folder, device: 'cpu', recipe: work.recipe});
		const growth = readGrowth(`PyTorch ${name}`, runProgram('memory', [settings, String(steps)], environment));
		return {name, ...growth, ratio: growth.growth / ours.growth};
	});
	return {steps, ours, torch};
}
