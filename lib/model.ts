// A model: made from random weights or a checkpoint, and the forward and backward passes on it.
import {type Batch, toNativeBatch} from './batch.js';
import {type Checkpoint, fillCheckpoint, readCheckpoint, writeCheckpointFolder} from './checkpoint.js';
import {checkArgument, checkBoolean, checkInstance, checkKeys, checkPath, checkString} from './config/arguments.js';
import {show} from './config/check.js';
import {type ModelConfig, type ResolvedModelConfig, resolveModelConfig, toNativeModelConfig} from './config.js';
import {type ChosenDevice, checkDType, chooseDevice, type DeviceName, type DType, defaultDType} from './devices.js';
import {ConfigError, DisposedError} from './errors.js';
import {exists} from './files.js';
import {loadNative} from './native.js';
import {nativeCall, nativeCallSync} from './native-call.js';
import type {NativeModel} from './native-types.js';
import {isPresetName, type PresetName, presets} from './presets.js';
import {resolveCheckpoint} from './run-folder.js';
import {Tokenizer} from './tokenizer.js';
import {emaPath} from './trainer-state.js';

type DeviceOptions = {
	/** @default 'auto', the first usable GPU, else the CPU */
	readonly device?: DeviceName;
	/** What is computed in; master weights are float32 in either case. @default 'bfloat16' on CUDA, 'float32' on the CPU */
	readonly dtype?: DType;
};

export type CreateOptions = DeviceOptions & {
	/** Decides the random weights; an integer in [0, 2^53). @default 0 */
	readonly seed?: number;
	/** Overrides the config's. @default the config's, else the tokenizer's */
	readonly vocabSize?: number;
	/** Becomes the model's tokenizer. */
	readonly tokenizer?: Tokenizer;
};

export type LoadOptions = DeviceOptions & {
	/**
	 * The id that stands for a masked token. @default `mask_token_id` of config.json, else the last id (published GPT-2
	 * checkpoints have no mask token: extend their vocabulary by one, or name an id that can be spared)
	 */
	readonly maskTokenId?: number;
	/** Whether to take the moving average of a training run's weights where the checkpoint has one. @default true */
	readonly ema?: boolean;
};

const deviceKeys = ['device', 'dtype'] as const;
const createKeys = [
	...deviceKeys,
	'seed',
	'vocabSize',
	'tokenizer',
] as const satisfies readonly (keyof CreateOptions)[];
const loadKeys = [...deviceKeys, 'maskTokenId', 'ema'] as const satisfies readonly (keyof LoadOptions)[];

/** Name and shape of a parameter, as in the family's published checkpoints. */
export type Parameter = {readonly name: string; readonly shape: number[]};

/** The native model behind a Model; throws DisposedError. For the other classes of this package. */
export let nativeModelOf: (model: Model) => NativeModel;

/** Fills a folder with the model's checkpoint. For the other classes of this package. */
export let fillWithModel: (model: Model, folder: string) => Promise<void>;

/** A transformer with its weights on a device. Calls on one model run one after the other, off the JavaScript thread. */
export class Model {
	/** Every key filled in. */
	readonly config: ResolvedModelConfig;
	/** The device in use, such as 'cpu' or 'cuda:0'. */
	readonly device: string;
	/**
	 * Why `device: 'auto'` took the CPU on a machine with an NVIDIA GPU, or with an installation that has CUDA; else undefined.
	 * `listDevices()` gives the reason for each device.
	 */
	readonly fallbackReason: string | undefined;
	/** What is computed in. */
	readonly dtype: DType;
	/** Undefined when the checkpoint has none and none was given. */
	readonly tokenizer: Tokenizer | undefined;
	/** Numbers in all parameters; a tied head counts once. */
	readonly parameterCount: number;
	readonly #native: NativeModel;
	readonly #source: Checkpoint['source'];
	#disposed = false;

	static {
		nativeModelOf = model => model.#live();
		fillWithModel = (model, folder) => model.#fill(folder);
	}

	private constructor(
		native: NativeModel,
		{config, source, tokenizer}: Omit<Checkpoint, 'weightsPath'>,
		{device, fallbackReason}: ChosenDevice,
		dtype: DType,
	) {
		this.#native = native;
		this.#source = source;
		this.config = config;
		this.tokenizer = tokenizer;
		this.parameterCount = native.parameterCount;
		this.device = device;
		this.fallbackReason = fallbackReason;
		this.dtype = dtype;
	}

	/**
	 * A model with random weights.
	 *
	 * @param config A config, or the name of a preset.
	 * @throws ConfigError, DeviceError, OutOfMemoryError.
	 */
	static async create(config: ModelConfig | PresetName, options: CreateOptions = {}): Promise<Model> {
		checkKeys('the options of create', options, createKeys);
		const {device = 'auto', dtype: dtypeName, seed = 0, tokenizer} = options;
		checkArgument('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'an integer of at least 0');
		if (tokenizer !== undefined) checkInstance('tokenizer', tokenizer, Tokenizer);
		const given = typeof config === 'string' ? presetModel(config) : config;
		checkArgument('the config', given, typeof given === 'object' && given !== null, 'a ModelConfig or a preset name');
		const vocabSize = options.vocabSize ?? given.vocabSize ?? tokenizer?.vocabSize;
		const resolved = resolveModelConfig({...given, vocabSize});
		if (tokenizer && tokenizer.vocabSize > resolved.vocabSize) {
			throw new ConfigError(
				`ModelConfig: vocabSize is ${resolved.vocabSize}; accepted: at least the tokenizer's ${tokenizer.vocabSize}`,
			);
		}

		const chosen = await chooseDevice(device);
		const dtype = checkDType(dtypeName ?? defaultDType(chosen.device));
		const native = await nativeCall(() =>
			loadNative().createModel(toNativeModelConfig(resolved), chosen.device, dtype, {seed}),
		);
		return new Model(native, {config: resolved, source: {}, tokenizer}, chosen, dtype);
	}

	/**
	 * A model from a checkpoint folder, or from the latest checkpoint of a run folder; of a run with `emaDecay`, the moving average
	 * of its weights. Families: GPT-2 (DiffuGPT), LLaDA, Dream
	 * (Qwen2), nanoLLaDA and this package's own. Weights in bfloat16 and float16 are widened.
	 *
	 * @throws CheckpointError naming the file, the tensor or key, and the rule it broke; ConfigError, DeviceError, OutOfMemoryError.
	 */
	static async load(source: string, options: LoadOptions = {}): Promise<Model> {
		checkKeys('the options of load', options, loadKeys);
		const {device = 'auto', dtype: dtypeName, maskTokenId, ema = true} = options;
		checkBoolean('ema', ema);
		const chosen = await chooseDevice(device);
		const dtype = checkDType(dtypeName ?? defaultDType(chosen.device));
		const folder = await resolveCheckpoint(source);
		const {weightsPath, ...checkpoint} = await readCheckpoint(folder, maskTokenId);
		const path = ema && (await exists(emaPath(folder))) ? emaPath(folder) : weightsPath;
		const config = toNativeModelConfig(checkpoint.config);
		const native = await nativeCall(() => loadNative().createModel(config, chosen.device, dtype, {path}));
		return new Model(native, checkpoint, chosen, dtype);
	}

	/** All parameters, in the order of the forward pass; GPT-2's matrices are [in, out], all others [out, in]. */
	parameters(): Parameter[] {
		return nativeCallSync(() =>
			this.#live()
				.parameters()
				.map(({name, shape}) => ({name, shape: [...shape]})),
		);
	}

	/**
	 * A copy of one parameter's values, in the layout that `parameters()` gives.
	 * @throws ConfigError for a name that is not among them.
	 */
	async parameter(name: string): Promise<Float32Array> {
		checkString('the name of a parameter', name);
		return nativeCall(() => this.#live().parameter(name));
	}

	/**
	 * The logits of every position, [B, T, V]; of the noisy half, [B, T / 2, V], with `block_diffusion` attention. Targets and
	 * weights in the batch are not read.
	 *
	 * @throws ConfigError naming the field of the batch that is wrong.
	 */
	async forward(batch: Batch): Promise<{logits: Float32Array; shape: [number, number, number]}> {
		return nativeCall(() => this.#live().forward(toNativeBatch(batch, false)));
	}

	/**
	 * The loss, a sum over rows of lossWeight * -log p(target), and its gradient for every parameter by name. Changes nothing.
	 * @throws ConfigError naming the field of the batch that is wrong.
	 */
	async lossAndGradients(batch: Batch): Promise<{loss: number; gradients: Map<string, Float32Array>}> {
		const native = this.#live();
		const names = native.parameters().map(({name}) => name);
		const {loss, gradients} = await nativeCall(() => native.lossAndGradients(toNativeBatch(batch, true)));
		return {loss, gradients: new Map(names.map((name, index) => [name, gradients[index]!]))};
	}

	/**
	 * Writes a checkpoint folder: config.json and model.safetensors under the family's published names, and the tokenizer. It
	 * is built beside the folder and renamed into place, so that a crash leaves the old or the new one.
	 *
	 * @throws CheckpointError when the folder exists and `overwrite` is not set, or when it cannot be written.
	 */
	async save(folder: string, options: {readonly overwrite?: boolean} = {}): Promise<void> {
		checkPath('the folder of a checkpoint', folder);
		checkKeys('the options of save', options, ['overwrite']);
		const {overwrite = false} = options;
		checkBoolean('overwrite', overwrite);
		this.#live();
		await writeCheckpointFolder(folder, overwrite, temporary => this.#fill(temporary), 4 * this.parameterCount);
	}

	/** Frees the model: returns at once, rejects what is queued with ERR_DISPOSED, and lets the running call end first. */
	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		this.#native.dispose();
	}

	[Symbol.dispose](): void {
		this.dispose();
	}

	/** Disposes and waits until everything is freed. */
	async [Symbol.asyncDispose](): Promise<void> {
		this.dispose();
		await nativeCall(() => this.#native.disposed());
	}

	async #fill(folder: string): Promise<void> {
		const {config, tokenizer} = this;
		const saveWeights = (path: string) => nativeCall(() => this.#live().save(path));
		await fillCheckpoint(folder, {config, tokenizer, source: this.#source, saveWeights});
	}

	#live(): NativeModel {
		if (this.#disposed) throw new DisposedError('the model has been disposed');
		return this.#native;
	}
}

function presetModel(name: string): ModelConfig {
	if (isPresetName(name)) return presets[name].model;
	throw new ConfigError(`there is no preset ${show(name)}; accepted: ${Object.keys(presets).join(', ')}`);
}
