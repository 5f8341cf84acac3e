// One `nano` training step against PyTorch float32 eager: same weights, same batches, losses compared before any timing,
// then rounds of both in turn. The headline is the ratio to PyTorch's faster mode.
import {cpus} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {Peer} from './peer.mjs';
import {summarize} from './statistics.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = path.join(root, 'test', 'fixtures', 'nano-pytorch');
const modes = ['all', 'masked'];

export async function run(args) {
	const {values} = parseArgs({
		args,
		options: {
			rounds: {type: 'string', default: '7'},
			steps: {type: 'string', default: '20'},
			threads: {type: 'string', default: '1'},
			json: {type: 'boolean', default: false},
		},
	});
	const [rounds, steps, threads] = [values.rounds, values.steps, values.threads].map(Number);
	process.env.DLLM_THREADS = String(threads); // read when the addon loads
	const ours = await nativeSide();
	const {listDevices} = await import('../../dist/lib/index.js');
	const {path: instructionSet} = (await listDevices())[0].details;
	const torch = new Peer('python3', [path.join(root, 'scripts', 'bench', 'torch_peer.py'), folder, String(threads)], {
		OMP_NUM_THREADS: String(threads),
		MKL_NUM_THREADS: String(threads),
	});
	const versions = await torch.read().catch(error => {
		throw new Error(`PyTorch's side did not start (python3 -m pip install torch safetensors): ${error.message}`);
	});

	const difference = await compareLosses(ours, torch, 50);
	const times = {ours: [], all: [], masked: []};
	for (let round = 0; round < rounds; round++) {
		times.ours.push((await ours(steps)).milliseconds);
		for (const mode of modes) times[mode].push((await torch.ask(`${mode} ${steps}`)).milliseconds);
	}

	torch.close();
	const results = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, summarize(all)]));
	const fastest = Math.min(results.all.median, results.masked.median);
	const report = {
		benchmark: 'step',
		command: `npm run bench -- step --rounds ${rounds} --steps ${steps} --threads ${threads}`,
		date: new Date().toISOString(),
		processor: cpus()[0].model,
		instructionSet,
		node: process.version,
		...versions,
		largestLossDifference: difference,
		millisecondsPerStep: results,
		ratio: fastest / results.ours.median,
	};
	console.log(values.json ? JSON.stringify(report) : table(report));
}

/** Trains on the fixture's batches in turn; each call goes on where the last one ended. */
async function nativeSide() {
	const {Model, Trainer, presets} = await import('../../dist/lib/index.js');
	const {readTwinBatches, twinFolder} = await import('../../dist/test/support/nano-twin.js');
	const model = await Model.load(twinFolder);
	const batches = await readTwinBatches(model.config.maskTokenId);
	const trainer = new Trainer(model, presets.nano.train);
	return async steps => {
		const losses = [];
		const milliseconds = [];
		for (let i = 0; i < steps; i++) {
			const next = batches[trainer.completedSteps % batches.length];
			const begin = performance.now();
			const {loss} = await trainer.step(next);
			milliseconds.push(performance.now() - begin);
			losses.push(loss);
		}

		return {losses, milliseconds};
	};
}

async function compareLosses(ours, torch, steps) {
	const {losses} = await ours(steps);
	let largest = 0;
	for (const mode of modes) {
		const answer = await torch.ask(`${mode} ${steps}`);
		for (let i = 0; i < steps; i++) largest = Math.max(largest, Math.abs(losses[i] - answer.losses[i]));
	}

	if (!(largest <= 1e-4)) throw new Error(`losses differ by ${largest}: the two sides do not do the same work`);
	return largest;
}

function table({
	command,
	date,
	processor,
	instructionSet,
	node,
	torch,
	threads,
	largestLossDifference,
	millisecondsPerStep,
	ratio,
}) {
	const row = (name, {median, lowest, highest}) =>
		`${name.padEnd(34)}${median.toFixed(1).padStart(8)}   ${lowest.toFixed(1)} – ${highest.toFixed(1)}`;
	return [
		`${command}   ${date}`,
		`${processor}, ${threads} thread(s), instruction set ${instructionSet}, Node ${node}, PyTorch ${torch}`,
		`losses of 50 steps agree within ${largestLossDifference.toExponential(1)}`,
		'',
		`${'milliseconds per step'.padEnd(34)}${'median'.padStart(8)}   spread of the rounds' medians`,
		row('dllm-native', millisecondsPerStep.ours),
		row('PyTorch eager, all logits', millisecondsPerStep.all),
		row('PyTorch eager, masked rows', millisecondsPerStep.masked),
		'',
		`dllm-native is ${ratio.toFixed(2)} times as fast as PyTorch's faster mode`,
	].join('\n');
}
