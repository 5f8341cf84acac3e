// Our training step on several threads against one: a process for each number of threads, timed in turn.
import {fileURLToPath} from 'node:url';
import {choose, chooseOne, count, parseOptions, UsageError} from './against/options.mjs';
import {describeRun, loadAverage, startProgress, writeReport} from './against/report.mjs';
import {timeInTurn} from './against/timing.mjs';
import {Peer} from './peer.mjs';
import {architectures, describeWork, sizes as knownSizes} from './torch/sizes.mjs';

const program = fileURLToPath(new URL('scaling/trainer.mjs', import.meta.url));

const options = {
	sizes: {type: 'string', default: 'baby'},
	architecture: {type: 'string'},
	batch: {type: 'string'},
	threads: {type: 'string', default: '1,2'},
	rounds: {type: 'string', default: '7'},
	steps: {type: 'string', default: '20'},
	seconds: {type: 'string', default: '5'},
	json: {type: 'boolean', default: false},
	out: {type: 'string'},
};

/** Steps that come before the timed ones. */
const WARM_UP = {steps: 10, least: 3, seconds: 10};

function parse(args) {
	const values = parseOptions(args, options);
	const threads = values.threads.split(',').map(text => count('threads', text));
	if (threads.length < 2)
		throw new UsageError(`--threads is ${values.threads}; accepted: two or more numbers, such as 1,2`);
	chooseOne('architecture', values.architecture, Object.keys(architectures));
	const numbers = ['rounds', 'steps', 'seconds'].map(name => [name, count(name, values[name])]);
	return {
		...values,
		...Object.fromEntries(numbers),
		threads,
		batch: values.batch === undefined ? undefined : count('batch', values.batch),
		sizes: choose('sizes', values.sizes, Object.keys(knownSizes)),
	};
}

async function measure(work, {threads, rounds, steps, seconds}, note) {
	const trainers = [];
	try {
		for (const count of threads) {
			const peer = new Peer(process.execPath, [program, JSON.stringify(work)], {DLLM_THREADS: String(count)});
			trainers.push({threads: count, peer});
			await peer.read();
			await peer.ask(JSON.stringify(WARM_UP));
		}

		const visit =
			({peer}) =>
			async () =>
				(await peer.ask(JSON.stringify({steps, seconds}))).milliseconds;
		const [first, ...others] = trainers;
		const peers = others.map(trainer => ({name: `${trainer.threads} threads`, visit: visit(trainer)}));
		const times = await timeInTurn({ours: visit(first), peers}, rounds, line => note(`${work.name}: ${line}`));
		const rows = others.map((trainer, index) => {
			const {milliseconds, ratio} = times.peers.get(peers[index].name);
			const speedup = {median: 1 / ratio.median, lowest: 1 / ratio.highest, highest: 1 / ratio.lowest};
			return {threads: trainer.threads, milliseconds, speedup};
		});
		return {...work, threads: [{threads: first.threads, milliseconds: times.ours}, ...rows]};
	} finally {
		for (const {peer} of trainers) peer.close();
	}
}

/** The report as lines. */
export function table({command, date, device, node, dllmNative, load, sizes}) {
	const row = cells => `  ${cells.map((text, index) => text.padStart([8, 9, 17, 7, 10, 15][index])).join('')}`;
	const time = value => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
	const spread = ({lowest, highest}, format) => `${format(lowest)} – ${format(highest)}`;
	return [
		`${command}   ${date}`,
		`${device.processor}, ${device.system}, Node ${node}; load average ${load.join(' → ')}`,
		`dllm-native ${dllmNative}, instruction set ${device.instructionSet}`,
		...sizes.flatMap(({name, batch, context, threads}) => [
			'',
			`${name}: training step of ${batch} × ${context} tokens`,
			row(['threads', 'ms', 'spread', 'count', 'speedup', 'spread']),
			...threads.map(({threads: number, milliseconds, speedup}) =>
				row([
					String(number),
					time(milliseconds.median),
					spread(milliseconds, time),
					String(milliseconds.count),
					...(speedup ? [speedup.median.toFixed(2), spread(speedup, value => value.toFixed(2))] : []),
				]),
			),
		]),
	].join('\n');
}

export async function run(args) {
	const {json, out, ...chosen} = parse(args);
	const head = await describeRun('scaling', ['npm run bench -- scaling', ...args].join(' '));
	const load = [loadAverage()];
	const note = startProgress();
	const sizes = [];
	for (const name of chosen.sizes) sizes.push(await measure(describeWork(name, chosen), chosen, note));
	load.push(loadAverage());
	const report = {...head, rounds: chosen.rounds, load, sizes};
	if (out !== undefined) writeReport(out, report);
	console.log(json ? JSON.stringify(report) : table(report));
}
