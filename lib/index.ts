// The public API.
export type {Attention, Batch} from './batch.js';
export {
	type ConfigKey,
	configKeys,
	type Family,
	type ModelConfig,
	type Norm,
	type Objective,
	type ResolvedModelConfig,
	type ResolvedNorm,
	type ResolvedSampleConfig,
	type ResolvedTrainConfig,
	resolveModelConfig,
	resolveSampleConfig,
	resolveTrainConfig,
	type SampleConfig,
	type TrainConfig,
} from './config.js';
export {generateStories, logProbability, type StoriesConfig, type StoriesProbability} from './corpus.js';
export {Dataset} from './dataset.js';
export {type DeviceInfo, type DeviceName, type DType, listDevices} from './devices.js';
export {
	AbortError,
	CheckpointError,
	ConfigError,
	DataError,
	DeviceError,
	DisposedError,
	DllmError,
	type ErrorCode,
	NativeError,
	NonFiniteError,
	OutOfMemoryError,
	TokenizerError,
} from './errors.js';
export {type CreateOptions, type LoadOptions, Model, type Parameter} from './model.js';
export {type PrepareConfig, type PreparedDataset, prepareDataset} from './prepare.js';
export {type Preset, type PresetName, presets} from './presets.js';
export {type Frame, type Sample, type SampleRequest, Sampler} from './sampler.js';
export {Tokenizer, type TokenizerDescription, type TokenizerKind} from './tokenizer.js';
export {
	type EvalStats,
	type EvaluateOptions,
	type Evaluation,
	type FitOptions,
	type ResumeOptions,
	type StepStats,
	Trainer,
} from './trainer.js';
