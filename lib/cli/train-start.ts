// Starts a new run, or continues an old one: its folder, its data, and a trainer.
import path from 'node:path';
import type {TrainConfig} from '../config.js';
import {chooseDevice} from '../devices.js';
import {CheckpointError, DataError} from '../errors.js';
import {Model} from '../model.js';
import {type Preset, type PresetName, presets} from '../presets.js';
import {resolveCheckpoint} from '../run-folder.js';
import type {Tokenizer} from '../tokenizer.js';
import {Trainer} from '../trainer.js';
import {readDataRecord, writeDataRecord} from './data-record.js';
import {type Interruption, UsageError} from './exit.js';
import {openDefault, openFile, openFolder, openRecord, type RunData} from './run-data.js';
import {checkVacant, createRunFolder, defaultRunFolder, runFolderOf} from './runs.js';
import {type Request, type RunOptions, readRequest} from './train-config.js';

export type TrainOptions = RunOptions &
	Readonly<Record<string, unknown>> & {
		readonly resume?: string;
		readonly config?: string;
		readonly json?: boolean;
	};

/** A run that is ready to train. */
export type Run = AsyncDisposable & {
	readonly folder: string;
	readonly data: RunData;
	readonly trainer: Trainer;
	/** For people: what was started or continued. */
	readonly title: string;
};

/** @throws InterruptedError when a signal came before there was anything to save. */
export async function startRun(flags: TrainOptions, interruption: Interruption): Promise<Run> {
	const request = await readRequest(flags);
	const {input, data} = request.options;
	if (input !== undefined && data !== undefined) throw new UsageError('--input and --data exclude each other');
	if (data !== undefined && request.options.tokenizer !== undefined) {
		throw new UsageError('--tokenizer goes with --input: a prepared dataset has its tokenizer already');
	}

	const run = flags.resume === undefined ? await newRun(request) : await resumedRun(flags.resume, request);
	try {
		checkLengths(run);
		interruption.throwIfRequested();
		await createRunFolder(run.folder);
		await writeDataRecord(run.folder, run.data.record);
		return run;
	} catch (error) {
		await run[Symbol.asyncDispose]();
		throw error;
	}
}

async function newRun({options, model: givenModel, train}: Request): Promise<Run> {
	const device = await chooseDevice(options.device ?? 'auto');
	const presetName: PresetName = options.preset ?? (device === 'cpu' ? 'nano' : 'baby');
	const preset: Preset = presets[presetName];
	const folder = options.out ?? defaultRunFolder(presetName);
	await checkVacant(folder);
	const {vocabSize: fixedVocabSize, ...presetModel} = preset.model;
	const kind = options.tokenizer ?? (fixedVocabSize === undefined ? 'char' : 'gpt2');
	const data = (await openNamed(options, kind)) ?? (await openDefault());
	const model = await Model.create(
		{...presetModel, ...givenModel},
		{device: options.device, seed: train.seed ?? 0, tokenizer: data.tokenizer},
	);
	try {
		const trainer = new Trainer(model, {...preset.train, ...scaleRecipe(preset.train, train), ...train});
		return withDisposal(folder, data, trainer, `new run, preset ${presetName}`);
	} catch (error) {
		model.dispose();
		throw error;
	}
}

/**
 * A preset's warm-up and final learning rate are meant for its own steps and peak: when only those are changed, they keep
 * their share of them.
 */
function scaleRecipe(preset: TrainConfig, {steps, learningRate}: TrainConfig): TrainConfig {
	const {warmupSteps, minLearningRate} = preset;
	const share = (part: number, whole = part, value = whole) => (part * value) / whole;
	return {
		...(warmupSteps && {warmupSteps: Math.max(1, Math.round(share(warmupSteps, preset.steps, steps)))}),
		...(minLearningRate && {minLearningRate: share(minLearningRate, preset.learningRate, learningRate)}),
	};
}

async function resumedRun(source: string, {options, model, train}: Request): Promise<Run> {
	if (
		options.preset !== undefined ||
		options.tokenizer !== undefined ||
		Object.keys(model).some(key => key !== 'contextLength')
	) {
		throw new UsageError(
			'a resumed run keeps its preset, its model and its tokenizer; they are chosen when it is started',
		);
	}

	const checkpoint = await resolveCheckpoint(source);
	const folder = options.out ?? (await runFolderOf(source));
	if (path.resolve(folder) !== path.resolve(source) && options.out !== undefined) await checkVacant(folder);
	const trainer = await Trainer.resume(checkpoint, {device: options.device, config: train});
	try {
		const {tokenizer} = trainer.model;
		if (!tokenizer) throw new CheckpointError(`${checkpoint} has no tokenizer, so no text can be trained on`);
		const data = (await openNamed(options, tokenizer)) ?? (await openRecorded(source, tokenizer));
		return withDisposal(folder, data, trainer, `continuing after step ${trainer.completedSteps}`);
	} catch (error) {
		trainer.model.dispose();
		throw error;
	}
}

async function openNamed(
	{input, data}: RunOptions,
	tokenizer: Tokenizer | RunOptions['tokenizer'],
): Promise<RunData | undefined> {
	if (input !== undefined) return openFile(input, tokenizer ?? 'char');
	if (data !== undefined) return openFolder(data, typeof tokenizer === 'object' ? tokenizer : undefined);
	return undefined;
}

async function openRecorded(source: string, tokenizer: Tokenizer): Promise<RunData> {
	const record = await readDataRecord(source);
	if (record) return openRecord(record, tokenizer);
	throw new UsageError(`${source} does not say what it was trained on; name it with --input or --data`);
}

/** Before the first step, so that a run never fails at its first evaluation. */
function checkLengths({data, trainer}: Run): void {
	const {contextLength} = trainer.config;
	for (const [part, {length}] of Object.entries({'training part': data.train, 'held-out tenth': data.validation})) {
		if (length >= contextLength) continue;
		throw new DataError(
			`the ${part} of ${data.description} has ${length} tokens; accepted: at least the context length, ${contextLength} ` +
				'(a longer text, or a smaller --context-length)',
		);
	}
}

function withDisposal(folder: string, data: RunData, trainer: Trainer, title: string): Run {
	return {
		folder,
		data,
		trainer,
		title,
		async [Symbol.asyncDispose]() {
			await trainer[Symbol.asyncDispose]();
			await trainer.model[Symbol.asyncDispose]();
		},
	};
}
