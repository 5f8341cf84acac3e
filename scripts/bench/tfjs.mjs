// dllm-native against tfjs: the same model, weights, batches and masks, one thread each. Loss, gradients, losses of training steps
// and sampled tokens must agree before anything is timed.
import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {chart} from './against/chart.mjs';
import {compareSize} from './against/compare.mjs';
import {sizes as knownSizes} from './against/sizes.mjs';
import {table} from './against/table.mjs';
import {installCommand} from './against/tfjs-peers.mjs';
import {backendNames, missingPackages} from './tfjs/backends.mjs';

const options = {
	rounds: {type: 'string', default: '5'},
	steps: {type: 'string', default: '20'},
	seconds: {type: 'string', default: '5'},
	sizes: {type: 'string', default: 'tiny,small,context128'},
	backends: {type: 'string'},
	check: {type: 'boolean', default: false},
	install: {type: 'boolean', default: false},
	json: {type: 'boolean', default: false},
	out: {type: 'string'},
	draw: {type: 'string'},
};

/** The command line is wrong, or tfjs is not installed. */
export class UsageError extends Error {
	exitCode = 2;
}

function count(name, text) {
	const value = Number(text);
	if (!Number.isSafeInteger(value) || value < 1)
		throw new UsageError(`--${name} is ${text}; accepted: an integer of at least 1`);
	return value;
}

function choose(name, text, known) {
	const chosen = text === 'all' ? known : text.split(',');
	const wrong = chosen.find(item => !known.includes(item));
	if (wrong !== undefined) throw new UsageError(`--${name} has ${wrong}; accepted: all, ${known.join(', ')}`);
	return chosen;
}

function parse(args) {
	let values;
	try {
		({values} = parseArgs({args, options}));
	} catch (error) {
		throw new UsageError(error.message);
	}

	return {
		...values,
		rounds: count('rounds', values.rounds),
		steps: count('steps', values.steps),
		seconds: count('seconds', values.seconds),
		sizes: choose('sizes', values.sizes, Object.keys(knownSizes)),
		backends: choose('backends', values.backends ?? 'all', backendNames),
		isExplicit: values.backends !== undefined && values.backends !== 'all',
	};
}

/** Installs tfjs beside this file, or says how to. Backends that are not asked for may be missing. */
function provideTfjs(install) {
	const command = installCommand();
	if (install) {
		console.error(command.join(' '));
		const {status, error} = spawnSync(command[0], [...command.slice(1), '--no-fund', '--no-audit'], {
			stdio: ['ignore', 2, 2],
		});
		if (error) throw error;
		if (status !== 0) throw new Error(`${command.join(' ')} ended with exit code ${status}`);
	}

	const missing = missingPackages('wasm');
	if (missing.length === 0) return;
	throw new UsageError(
		`tfjs is not installed (${missing.join(', ')}). Add --install, or run (about 100 MB):\n  ${command.join(' ')}`,
	);
}

/** @param command what the report says it was made with, before its arguments */
export async function run(args, command = 'npm run bench -- tfjs') {
	const {install, json, out, draw, check, sizes, ...chosen} = parse(args);
	if (draw !== undefined) {
		drawReport(draw);
		return;
	}

	provideTfjs(install);
	process.env.DLLM_THREADS = '1'; // read when the addon loads
	const {listDevices} = await import('../../dist/lib/index.js');
	const {name: processor, details} = (await listDevices())[0];
	const load = [os.loadavg()[0].toFixed(1)];
	const begin = performance.now();
	const note = line => console.error(`${((performance.now() - begin) / 1000).toFixed(0).padStart(5)} s  ${line}`);
	const results = [];
	for (const name of sizes) results.push(await compareSize(name, {...chosen, timed: !check}, note));
	load.push(os.loadavg()[0].toFixed(1));
	const report = {
		benchmark: 'tfjs',
		command: [command, ...args].join(' '),
		date: new Date().toISOString(),
		device: {processor, instructionSet: details.path, threads: details.threads, system: `${os.type()} ${os.release()}`},
		node: process.version,
		dllmNative: packageVersion(),
		load,
		sizes: results,
	};
	if (out !== undefined) {
		writeFileSync(out, `${JSON.stringify(report, null, '\t')}\n`);
		if (!check) drawReport(out);
	}

	console.log(json ? JSON.stringify(report) : table(report));
}

function packageVersion() {
	const file = fileURLToPath(new URL('../../package.json', import.meta.url));
	return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** Writes the chart of a report beside it: tfjs.json -> tfjs.svg. */
function drawReport(file) {
	const report = JSON.parse(readFileSync(file, 'utf8'));
	writeFileSync(file.replace(/(\.json)?$/, '.svg'), chart(report));
}
