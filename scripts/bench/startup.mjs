// How long people wait: `--help`, and the first training step counted from the start of the process.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {cpus, tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {median} from './statistics.mjs';

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
		options: {rounds: {type: 'string', default: '7'}, json: {type: 'boolean', default: false}},
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
		command: `npm run bench -- startup --rounds ${rounds}`,
		date: new Date().toISOString(),
		processor: cpus()[0].model,
		node: process.version,
		milliseconds: Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)])),
	};
	if (values.json) {
		console.log(JSON.stringify(report));
		return;
	}

	console.log(`${report.command}   ${report.date}\n${report.processor}, Node ${report.node}\n`);
	console.log(`--help                            ${report.milliseconds.help.toFixed(0)} ms (median of ${rounds})`);
	console.log(
		`first training step, preset nano  ${report.milliseconds.firstStep.toFixed(0)} ms after the start of the process`,
	);
}
