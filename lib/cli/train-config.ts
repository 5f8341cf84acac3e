// The configuration of a new run: flags over the --config file over the preset over the defaults.
import {z} from 'zod';
import {modelSchema} from '../config/model.js';
import {trainSchema} from '../config/train.js';
import type {ModelConfig, TrainConfig} from '../config.js';
import {type DeviceName, type DType, dtypes} from '../devices.js';
import {type PresetName, presets} from '../presets.js';
import type {TokenizerKind} from '../tokenizer.js';
import {tokenizerKinds} from '../tokenizers/codec.js';
import {readConfigFile} from './config-file.js';
import {configFromFlags} from './flags.js';

/** Decided by the tokenizer. */
const decided = {vocabSize: true, maskTokenId: true} as const;

export const trainFlags = {heading: 'Training:'} as const;
/** `contextLength` is among the training flags and sets both. */
export const modelFlags = {
	heading: 'Model (of a new run):',
	without: [...Object.keys(decided), 'contextLength'],
} as const;

const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]];

const fileSchema = trainSchema.extend({
	preset: z.enum(presetNames).optional(),
	model: modelSchema.omit(decided).partial().optional(),
	input: z.string().min(1).optional(),
	data: z.string().min(1).optional(),
	tokenizer: z.enum(tokenizerKinds).optional(),
	device: z.string().optional(),
	dtype: z.enum(dtypes).optional(),
	out: z.string().min(1).optional(),
});

/** The command's own flags, which the config file may have too. */
export type RunOptions = {
	readonly preset?: PresetName;
	readonly input?: string;
	readonly data?: string;
	readonly tokenizer?: TokenizerKind;
	readonly device?: DeviceName;
	readonly dtype?: DType;
	readonly out?: string;
};

/** What a user asked for, from the flags and the file; defaults and the preset are not in it. */
export type Request = {
	readonly options: RunOptions;
	readonly model: Partial<ModelConfig>;
	readonly train: TrainConfig;
};

/** @throws UsageError for flags that do not fit together; ConfigError for a file that is wrong. */
export async function readRequest(
	flags: RunOptions & {readonly config?: string} & Readonly<Record<string, unknown>>,
): Promise<Request> {
	const train = configFromFlags('train', flags, trainFlags);
	const model = configFromFlags('model', flags, modelFlags);
	const file = flags.config === undefined ? {} : await readConfigFile(flags.config, fileSchema);
	const {preset, model: fileModel, input, data, tokenizer, device, dtype, out, ...fileTrain} = file;
	// a source of data on the command line replaces the file's, whichever kind it is
	const source = flags.input !== undefined || flags.data !== undefined ? flags : {input, data};
	return {
		options: {
			preset: flags.preset ?? preset,
			input: source.input,
			data: source.data,
			tokenizer: flags.tokenizer ?? tokenizer,
			device: flags.device ?? (device as DeviceName | undefined),
			dtype: flags.dtype ?? dtype,
			out: flags.out ?? out,
		},
		model: {
			...(fileTrain.contextLength !== undefined && {contextLength: fileTrain.contextLength}),
			...fileModel,
			...(train.contextLength !== undefined && {contextLength: train.contextLength}),
			...model,
		},
		train: {...fileTrain, ...train, ...mergeObjectives(fileTrain.objective, train.objective)},
	};
}

/** Flags for single keys of the objective keep the file's others, unless they name another kind. */
function mergeObjectives(
	file: TrainConfig['objective'],
	flags: TrainConfig['objective'],
): Pick<TrainConfig, 'objective'> {
	if (!file || !flags) return {};
	const sameKind = flags.kind === undefined || flags.kind === (file.kind ?? 'masked');
	return {objective: sameKind ? ({...file, ...flags} as TrainConfig['objective']) : flags};
}
