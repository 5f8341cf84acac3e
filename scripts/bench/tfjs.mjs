// dllm-native against tfjs: the same model, weights, batches and masks, one thread each. Loss, gradients, losses of training steps
// and sampled tokens must agree before anything is timed.
import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {chart} from './against/chart.mjs';
import {compareSize} from './against/compare.mjs';
import {choose, count, parseOptions, UsageError} from './against/options.mjs';
import {describeRun, loadAverage, startProgress} from './against/report.mjs';
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

function parse(args) {
	const values = parseOptions(args, options);
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
	const head = await describeRun('tfjs', [command, ...args].join(' '));
	const load = [loadAverage()];
	const note = startProgress();
	const results = [];
	for (const name of sizes) results.push(await compareSize(name, {...chosen, timed: !check}, note));
	load.push(loadAverage());
	const report = {...head, load, sizes: results};
	if (out !== undefined) {
		writeFileSync(out, `${JSON.stringify(report, null, '\t')}\n`);
		if (!check) drawReport(out);
	}

	console.log(json ? JSON.stringify(report) : table(report));
}

/** Writes the chart of a report beside it: tfjs.json -> tfjs.svg. */
function drawReport(file) {
	const report = JSON.parse(readFileSync(file, 'utf8'));
	writeFileSync(file.replace(/(\.json)?$/, '.svg'), chart(report));
}

export {table};
