// `dllm-native sample`: generates texts with a trained model, and shows how they are denoised with --watch.

import type {Command} from 'commander';
import {z} from 'zod';
import {sampleSchema} from '../config/sample.js';
import type {SampleConfig} from '../config.js';
import type {DeviceName, DType} from '../devices.js';
import {Model} from '../model.js';
import {type Frame, type Sample, Sampler} from '../sampler.js';
import {CanvasView, canvasSpans, maskCharacter} from './canvas-view.js';
import {readConfigFile} from './config-file.js';
import {UsageError} from './exit.js';
import {addConfigFlags, addDeviceFlags, configFromFlags, parseCount} from './flags.js';
import {note, paint, print, printable, printJson} from './output.js';
import {newestRun} from './runs.js';

type SampleFlags = Readonly<Record<string, unknown>> & {
	readonly model?: string;
	readonly prompt?: string;
	readonly count?: number;
	readonly config?: string;
	readonly device?: DeviceName;
	readonly dtype?: DType;
	readonly watch?: boolean;
	readonly json?: boolean;
};

const sampleFlags = {heading: 'Sampling:'} as const;

const fileSchema = sampleSchema.extend({
	model: z.string().min(1).optional(),
	prompt: z.string().optional(),
	count: z.int().min(1).optional(),
});

export function register(command: Command): void {
	command
		.option('--model <folder>', 'a run or a checkpoint (default: the newest run in runs/)')
		.option('--prompt <text>', 'what the new text follows')
		.option('--count <integer>', 'number of texts (default: 1)', parseCount)
		.option('--watch', 'show the text after every step')
		.option('--config <file>', 'JSON file with the keys of the flags below, and model, prompt and count; flags win')
		.option('--json', 'print one JSON object per text; with --watch also one per step');
	addDeviceFlags(command);
	addConfigFlags(command, 'sample', sampleFlags);
	command
		.addHelpText('after', '\nExample:\n  dllm-native sample --model runs/book --prompt "It was" --length 48 --steps 24')
		.action(sample);
}

async function sample(flags: SampleFlags): Promise<void> {
	const given = configFromFlags('sample', flags, sampleFlags);
	const file = flags.config === undefined ? {} : await readConfigFile(flags.config, fileSchema);
	const {model: fileModel, prompt: filePrompt, count: fileCount = 1, ...fileConfig} = file;
	const config: SampleConfig = {...fileConfig, ...given};
	const prompt = flags.prompt ?? filePrompt;
	const count = flags.count ?? fileCount;
	if (flags.watch && count > 1) throw new UsageError('--watch shows one text; leave out --count');

	await using model = await Model.load(flags.model ?? fileModel ?? (await newestRun()), {
		device: flags.device,
		dtype: flags.dtype,
	});
	using sampler = new Sampler(model, config);
	const isFixed = sampler.config.temperature === 0 && sampler.config.remasking !== 'random';
	if (count > 1 && isFixed) note('at temperature 0 all texts are the same; --temperature 1 makes them differ');
	const request = prompt === undefined ? {} : {prompt};
	const samples = flags.watch
		? [await watch(sampler, request, flags.json ?? false)]
		: await sampler.sampleBatch(Array.from({length: count}, () => request));
	for (const [index, result] of samples.entries()) {
		if (flags.json) printJson(toJson(result, prompt));
		else printSample(result, prompt, samples.length > 1 ? `sample ${index + 1}:` : undefined);
	}
}

function toJson({tokens, text, forwardPasses, tokensPerForward, seconds}: Sample, prompt = ''): object {
	return {prompt, text, tokens: [...tokens], forwardPasses, tokensPerForward, seconds};
}

function printSample({tokens, text}: Sample, prompt: string | undefined, title: string | undefined): void {
	if (title !== undefined) print(paint('dim', title));
	print(printable(text === undefined ? tokens.join(' ') : `${prompt ?? ''}${text}`));
	if (title !== undefined) print();
}

/** Runs the steps one by one, shows each, and returns what `sample` would. */
async function watch(sampler: Sampler, request: {readonly prompt?: string}, json: boolean): Promise<Sample> {
	const {tokenizer, config} = sampler.model;
	if (!tokenizer) throw new UsageError('--watch shows text, but the model has no tokenizer');
	const view = new CanvasView();
	const begin = performance.now();
	let last: Frame | undefined;
	let committed = 0;
	for await (const frame of sampler.stream(request)) {
		last = frame;
		committed += frame.positions.length;
		if (json) {
			const text = tokenizer.decode(frame.tokens, {mask: maskCharacter});
			printJson({step: frame.step, text, positions: [...frame.positions], confidences: [...frame.confidences]});
			continue;
		}

		const fresh = new Map(Array.from(frame.positions, (position, index) => [position, frame.confidences[index]!]));
		const decode = (tokens: readonly number[]) => tokenizer.decode(tokens);
		const title = `step ${frame.step}, ${committed} of ${frame.tokens.length} tokens`;
		view.show(title, canvasSpans(frame.canvas, fresh, {maskTokenId: config.maskTokenId, decode}));
	}

	view.clear();
	const {step: forwardPasses, tokens, text} = last!;
	const seconds = (performance.now() - begin) / 1000;
	return {tokens, text, forwardPasses, tokensPerForward: committed / forwardPasses, seconds};
}
