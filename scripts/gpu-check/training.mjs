// A process that trains a small model on cuda:0 and prints what came of it as JSON:
//   node training.mjs start|resume|memory float32|bfloat16 FOLDER STEPS_OF_THE_RUN STEPS_TO_TAKE
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {Dataset, Model, Trainer} from '../../dist/lib/index.js';
import {listFiles, root} from '../files.mjs';

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

/** Bytes of cuda:0 that are in use; undefined where there is no driver. */
function deviceMemory() {
	const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--id=0'];
	const {status, stdout} = spawnSync('nvidia-smi', query, {encoding: 'utf8'});
	return status === 0 ? Number(stdout) * 2 ** 20 : undefined;
}

/** After each tenth of the steps. */
async function watchMemory(trainer, steps) {
	const device = [];
	const resident = [];
	for (let part = 0; part < 10; part++) {
		await takeSteps(trainer, steps / 10);
		globalThis.gc?.();
		device.push(deviceMemory());
		resident.push(process.memoryUsage().rss);
	}

	return {device: device.filter(bytes => bytes !== undefined), resident};
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

async function main([kind, dtype, folder, steps, count]) {
	const resumes = kind === 'resume';
	const config = {steps: Number(steps), batchSize: 4, gradientAccumulation: 2, emaDecay: 0.9, learningRate: 1e-2};
	const trainer = resumes
		? await Trainer.resume(folder, {device: 'cuda:0'})
		: new Trainer(await Model.create(shape, {device: 'cuda:0', dtype}), config);
	if (trainer.model.dtype !== dtype) throw new Error(`the dtype is ${trainer.model.dtype}, expected ${dtype}`);
	if (kind === 'memory') return watchMemory(trainer, Number(count));
	const {loss} = await takeSteps(trainer, Number(count));
	await trainer.save(folder);
	if (trainer.completedSteps < Number(steps)) return {loss};
	const last = path.join(folder, `step-${steps}`);
	return {loss, files: hashFiles(last)};
}

process.stdout.write(JSON.stringify(await main(process.argv.slice(2))));
