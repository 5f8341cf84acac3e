// Starts a new run, or continues an old one: its folder, its data, and a trainer.
import path from 'node:path';
import type {TrainConfig} from '../config.js';
import {chooseDevice} from '../devices.js';
import {CheckpointError} from '../errors.js';
import {Model} from '../model.js';
import {type Preset, type PresetName, presets} from '../presets.js';
import {resolveCheckpoint} from '../run-folder.js';
import type {Tokenizer, TokenizerKind} from '../tokenizer.js';
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
	const {device} = await chooseDevice(options.device ?? 'auto');
	const presetName: PresetName = options.preset ?? (device === 'cpu' ? 'nano' : 'baby');
	const preset: Preset = presets[presetName];
	const contextLength = train.contextLength ?? givenModel.contextLength ?? presets[presetName].model.contextLength;
	const folder = options.out ?? defaultRunFolder(presetName);
	await checkVacant(folder);
	const {vocabSize: fixedVocabSize, ...presetModel} = preset.model;
	const kind = options.tokenizer ?? (fixedVocabSize === undefined ? 'char' : 'gpt2');
	const data = (await openNamed(options, kind, contextLength)) ?? (await openDefault({contextLength}));
	const model = await Model.create(
		{...presetModel, ...givenModel},
		{device: options.device, dtype: options.dtype, seed: train.seed ?? 0, tokenizer: data.tokenizer},
	);
	try {
		const trainer = new Trainer(model, {...preset.train, ...scaleWarmup(preset.train, train), ...train});
		return withDisposal(folder, data, trainer, `new run, preset ${presetName}`);
	} catch (error) {
		model.dispose();
		throw error;
	}
}

/** A preset's warm-up is meant for its own number of steps: when only that is changed, the warm-up keeps its share of it. */
function scaleWarmup({warmupSteps, steps: presetSteps}: TrainConfig, {steps}: TrainConfig): TrainConfig {
	if (!warmupSteps || presetSteps === undefined || steps === undefined) return {};
	return {warmupSteps: Math.max(1, Math.round((warmupSteps * steps) / presetSteps))};
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
	const trainer = await Trainer.resume(checkpoint, {device: options.device, dtype: options.dtype, config: train});
	try {
		const {tokenizer} = trainer.model;
		if (!tokenizer) throw new CheckpointError(`${checkpoint} has no tokenizer, so no text can be trained on`);
		const {contextLength} = trainer.config;
		const data =
			(await openNamed(options, tokenizer, contextLength)) ?? (await openRecorded(source, tokenizer, contextLength));
		return withDisposal(folder, data, trainer, `continuing after step ${trainer.completedSteps}`);
	} catch (error) {
		trainer.model.dispose();
		throw error;
	}
}

async function openNamed(
	{input, data}: RunOptions,
	tokenizer: Tokenizer | TokenizerKind,
	contextLength: number,
): Promise<RunData | undefined> {
	if (input !== undefined) return openFile(input, tokenizer, {contextLength});
	if (data !== undefined)
		return openFolder(data, typeof tokenizer === 'object' ? tokenizer : undefined, {contextLength});
	return undefined;
}

async function openRecorded(source: string, tokenizer: Tokenizer, contextLength: number): Promise<RunData> {
	const record = await readDataRecord(source);
	if (record) return openRecord(record, tokenizer, contextLength);
	throw new UsageError(`${source} does not say what it was trained on; name it with --input or --data`);
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
