// A process that trains a small model on cuda:0 and prints what came of it as JSON. Its argument is JSON too:
//   {dtype, config, from?, folder, stops}   trains, from a checkpoint on, and saves after each of these numbers of steps
//   {dtype, watch: STEPS, driver}           trains that long and measures memory ten times (node --expose-gc)
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {setImmediate} from 'node:timers/promises';
import {Dataset, Model, Trainer} from '../../dist/lib/index.js';
import {listFiles, root} from '../files.mjs';
import {readUsedMemory} from '../nvidia-smi.mjs';

const MASK = 30;

const shape = {
	layers: 2,
	heads: 4,
	kvHeads: 2,
	width: 64,
	mlpWidth: 160,
	contextLength: 32,
	vocabSize: MASK + 1,
	mlp: 'swiglu',
	dropout: 0.1,
};

const data = Dataset.fromTokens(Int32Array.from({length: 3000}, (_, index) => (index * index + 3 * index) % MASK));

async function takeSteps(trainer, count) {
	let stats;
	for (let step = 0; step < count; step++) stats = await trainer.step(data);
	return stats;
}

/** After each tenth of the steps: the process's, and the GPU's where the driver is to be asked. */
async function watchMemory(trainer, steps, driver) {
	const device = [];
	const resident = [];
	for (let part = 0; part < 10; part++) {
		await takeSteps(trainer, steps / 10);
		globalThis.gc();
		if (driver) device.push(await readUsedMemory());
		resident.push(process.memoryUsage().rss);
	}

	return {device, resident};
}

function hashFiles(folder) {
	const files = listFiles(path.relative(root, folder), /\.safetensors$/);
	return Object.fromEntries(
		files.map(file => [
			path.relative(folder, path.join(root, file)),
			createHash('sha256')
				.update(readFileSync(path.join(root, file)))
				.digest('hex'),
		]),
	);
}

/** The last loss, and the hash of every file of tensors by checkpoint. */
async function trainAndSave(trainer, folder, stops) {
	const checkpoints = {};
	let loss;
	for (const stop of stops) {
		({loss} = await takeSteps(trainer, stop - trainer.completedSteps));
		await trainer.save(folder);
		checkpoints[stop] = hashFiles(path.join(folder, `step-${stop}`));
	}

	return {loss, checkpoints};
}

async function main({dtype, config, from, folder, stops, watch, driver}) {
	const whole = {batchSize: 4, gradientAccumulation: 2, emaDecay: 0.9, learningRate: 1e-2, ...config};
	const trainer = from
		? await Trainer.resume(from, {device: 'cuda:0'})
		: new Trainer(await Model.create(shape, {device: 'cuda:0', dtype}), whole);
	if (trainer.model.dtype !== dtype) throw new Error(`the dtype is ${trainer.model.dtype}, expected ${dtype}`);
	return watch === undefined ? trainAndSave(trainer, folder, stops) : watchMemory(trainer, watch, driver);
}

const warnings = [];
process.on('warning', ({message}) => warnings.push(message));
const result = await main(JSON.parse(process.argv[2]));
await setImmediate(); // warnings come after the call that makes them
process.stdout.write(JSON.stringify({...result, warnings}));
