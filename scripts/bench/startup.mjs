// How long people wait: `--help`, and the first training step counted from the start of the process.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {cpus, tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {spread} from './statistics.mjs';

const cli = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url));

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

export async function run(args) {
	const {values} = parseArgs({
		args,
		options: {
			rounds: {type: 'string', default: '7'},
			json: {type: 'boolean', default: false},
			out: {type: 'string'},
		},
	});
	const rounds = Number(values.rounds);
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

	const report = {
		benchmark: 'startup',
		command: ['npm run bench -- startup', ...args].join(' '),
		date: new Date().toISOString(),
		processor: cpus()[0].model,
		node: process.version,
		rounds,
		milliseconds: Object.fromEntries(Object.entries(times).map(([name, all]) => [name, spread(all)])),
	};
	if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, '\t')}\n`);
	console.log(values.json ? JSON.stringify(report) : table(report));
}

/** The report as lines. */
export function table({command, date, processor, node, rounds, milliseconds: {help, firstStep}}) {
	const row = (name, {median: middle, lowest, highest}) =>
		`${name.padEnd(34)}${middle.toFixed(0).padStart(6)} ms   ${lowest.toFixed(0)} – ${highest.toFixed(0)}`;
	return [
		`${command}   ${date}`,
		`${processor}, Node ${node}; medians of ${rounds}`,
		'',
		row('--help', help),
		row('first training step, preset nano', firstStep),
	].join('\n');
}
