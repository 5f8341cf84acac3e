// What sampling costs beside the forward pass, for a model of GPT-2 124M's shape: predicting, choosing and committing tokens.
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import os from 'node:os';
import {parseArgs} from 'node:util';
import {buildProgram} from './native-program.mjs';
import {spread} from './statistics.mjs';

const model = {layers: 12, heads: 12, width: 768, vocabulary: 50258, length: 256, steps: 8};

function measure(program, temperature, rounds, threads) {
	const shape = [model.layers, model.heads, model.width, model.vocabulary, model.length, model.steps];
	const output = execFileSync(program, [...shape, temperature, rounds].map(String), {
		encoding: 'utf8',
		env: {...process.env, DLLM_THREADS: threads},
	});
	const {path, rounds: splits} = JSON.parse(output);
	return {
		instructionSet: path,
		temperature,
		forward: spread(splits.map(({forward}) => forward)),
		rest: spread(splits.map(({rest}) => rest)),
		overhead: spread(splits.map(({forward, rest}) => rest / forward)),
	};
}

export async function run(args) {
	const {values} = parseArgs({
		args,
		options: {
			rounds: {type: 'string', default: '3'},
			threads: {type: 'string', default: '1'},
			json: {type: 'boolean', default: false},
			out: {type: 'string'},
		},
	});
	const program = buildProgram('dllm_sampling');
	const runs = [0, 1].map(temperature => measure(program, temperature, values.rounds, values.threads));
	const report = {
		benchmark: 'sampling',
		command: ['npm run bench -- sampling', ...args].join(' '),
		date: new Date().toISOString(),
		processor: os.cpus()[0].model,
		load: os.loadavg()[0],
		threads: Number(values.threads),
		model,
		runs,
	};
	if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, '\t')}\n`);
	console.log(values.json ? JSON.stringify(report) : table(report));
}

/** The report as lines. */
export function table({command, date, processor, threads, runs}) {
	const milliseconds = ({median: middle, lowest, highest}) =>
		`${(middle * 1e3).toFixed(1)} (${(lowest * 1e3).toFixed(1)}–${(highest * 1e3).toFixed(1)}) ms`;
	return [
		`${command}   ${date}`,
		`${processor}, ${threads} thread(s), ${runs[0].instructionSet}; GPT-2 124M shape, ${model.length} tokens in ${model.steps} steps`,
		...runs.map(
			({temperature, forward, rest, overhead}) =>
				`temperature ${temperature}: forward ${milliseconds(forward)}, everything else ${milliseconds(rest)}: ${(overhead.median * 100).toFixed(1)} %`,
		),
	].join('\n');
}
