// How long people wait: `--help`, and the first training step counted from the start of the process. On a GPU: the first step of
// GPT-2 124M, and when the phases before it were over.
import {execFileSync, spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {cpus, tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {chooseOne, count, parseOptions} from './against/options.mjs';
import {writeReport} from './against/report.mjs';
import {describeGpu} from './cuda.mjs';
import {spread} from './statistics.mjs';
import {describeWork, sizes} from './torch/sizes.mjs';

const cli = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url));
const firstStep = fileURLToPath(new URL('startup/first-step.mjs', import.meta.url));

/** Milliseconds from the start of the process until its output has the text, or until it ends when none is given. */
async function measure(args, text) {
	const begin = performance.now();
	const child = spawn(process.execPath, [cli, ...args], {stdio: ['ignore', 'pipe', 'inherit']});
	let output = '';
	let seen;
	child.stdout.on('data', data => {
		output += data;
		if (text !== undefined && output.includes(text)) seen ??= performance.now();
	});
	const code = await new Promise(resolve => child.on('close', resolve));
	if (code !== 0) throw new Error(`dllm-native ${args.join(' ')} ended with exit code ${code}`);
	return (seen ?? performance.now()) - begin;
}

/** The command line with the preset nano: milliseconds by what was waited for. */
async function measureCommandLine(rounds) {
	const {generateStories} = await import('../../dist/lib/index.js');
	const folder = mkdtempSync(path.join(tmpdir(), 'dllm-native-startup-'));
	const times = {help: [], firstStep: []};
	try {
		const input = path.join(folder, 'stories.txt');
		writeFileSync(input, generateStories({seed: 0, characters: 1_100_000}));
		for (let round = 0; round < rounds; round++) {
			times.help.push(await measure(['--help']));
			const train = [
				'train',
				'--input',
				input,
				'--out',
				path.join(folder, `run-${round}`),
				'--steps',
				'1',
				'--eval-batches',
				'1',
				'--json',
			];
			times.firstStep.push(await measure(train, '"kind":"step"'));
		}
	} finally {
		rmSync(folder, {recursive: true, force: true});
	}

	return times;
}

/** A process of its own: milliseconds by the phase that was over. */
function measurePhases(rounds, {model, batch, device, dtype}) {
	const settings = JSON.stringify({model, batch, device, dtype});
	const all = Array.from({length: rounds}, () =>
		JSON.parse(execFileSync(process.execPath, [firstStep, settings], {encoding: 'utf8'})),
	);
	return Object.fromEntries(Object.keys(all[0]).map(phase => [phase, all.map(phases => phases[phase])]));
}

export async function run(args) {
	const values = parseOptions(args, {
		device: {type: 'string', default: 'cpu'},
		dtype: {type: 'string', default: 'bfloat16'},
		size: {type: 'string', default: 'gpt2'},
		rounds: {type: 'string', default: '7'},
		json: {type: 'boolean', default: false},
		out: {type: 'string'},
	});
	const {device, dtype} = values;
	chooseOne('dtype', dtype, ['float32', 'bfloat16']);
	const rounds = count('rounds', values.rounds);
	const work = describeWork(chooseOne('size', values.size, Object.keys(sizes)), {});
	const times = await (device === 'cpu' ? measureCommandLine(rounds) : measurePhases(rounds, {...work, device, dtype}));
	const report = {
		benchmark: 'startup',
		command: ['npm run bench -- startup', ...args].join(' '),
		date: new Date().toISOString(),
		processor: cpus()[0].model,
		node: process.version,
		...(await describeGpu(device)),
		...(device !== 'cpu' && {dtype, work}),
		rounds,
		milliseconds: Object.fromEntries(Object.entries(times).map(([name, all]) => [name, {...spread(all), rounds: all}])),
	};
	if (values.out !== undefined) writeReport(values.out, report);
	console.log(values.json ? JSON.stringify(report) : table(report));
}

const labelsOf = gpu => ({
	help: '--help',
	imported: 'library imported',
	model: 'model created',
	firstStep: `first training step${gpu ? '' : ', preset nano'}`,
	secondStep: 'second training step',
	thirdStep: 'third training step',
});

/** The report as lines. */
export function table({command, date, processor, node, gpu, rounds, milliseconds}) {
	const labels = labelsOf(gpu);
	const row = (name, {median: middle, lowest, highest}) =>
		`${name.padEnd(34)}${middle.toFixed(0).padStart(6)} ms   ${lowest.toFixed(0)} – ${highest.toFixed(0)}`;
	return [
		`${command}   ${date}`,
		`${gpu?.name ?? processor}, Node ${node}; medians of ${rounds}`,
		'',
		...Object.entries(milliseconds).map(([name, times]) => row(labels[name], times)),
	].join('\n');
}
