// Trains a model: steps, the loop around them, the validation bound, and checkpoints that a run continues from.
import {type Batch, toNativeBatch} from './batch.js';
import {withoutUndefined} from './config/check.js';
import {type ResolvedTrainConfig, resolveTrainConfig, type TrainConfig, toNativeTrainConfig} from './config.js';
import {Dataset, nativeDatasetOf} from './dataset.js';
import type {DeviceName, DType} from './devices.js';
import {AbortError, CheckpointError, ConfigError, DisposedError, NativeError} from './errors.js';
import {fillWithModel, Model, nativeModelOf} from './model.js';
import {loadNative} from './native.js';
import {nativeCall} from './native-call.js';
import type {NativeStepStats, NativeTrainer} from './native-types.js';
import {addCheckpoint, resolveCheckpoint} from './run-folder.js';
import {readTrainerState, writeTrainerState} from './trainer-state.js';

/**
 * One optimizer step: its number from 1, the loss before the update, the global gradient norm before clipping, the learning
 * rate used, the tokens trained on and the seconds taken.
 */
export type StepStats = {readonly kind: 'step'} & NativeStepStats;

/** A validation bound. */
export type Evaluation = {
	/** Upper bound of the negative log-likelihood in nats per token (the exact value for `next_token`). */
	readonly nll: number;
	/** The same in bits: nll / ln 2. */
	readonly bitsPerToken: number;
	/** exp(nll). */
	readonly perplexity: number;
	/** Of nll, over the evaluation's batches; NaN with a single one. */
	readonly standardError: number;
};

/** An evaluation after a step of `fit`. */
export type EvalStats = Evaluation & {readonly kind: 'eval'; readonly step: number; readonly seconds: number};

export type FitOptions = {
	/** Ends the loop between two steps with ERR_ABORTED; the trainer can be saved and continued. */
	readonly signal?: AbortSignal;
	/** Evaluated every `evalEvery` steps and after the last one. */
	readonly validation?: Dataset;
	/** Saved to every `saveEvery` steps and after the last one. */
	readonly runFolder?: string;
};

export type ResumeOptions = {
	/** @default 'auto', the best usable device */
	readonly device?: DeviceName;
	/** @default 'float32' */
	readonly dtype?: DType;
	/** Keys of the run's config to change, such as more `steps`; the continued run is then another one. */
	readonly config?: TrainConfig;
};

/** Trains a model: each step draws sequences, masks them, predicts the masked tokens and updates the weights. */
export class Trainer {
	readonly model: Model;
	/** Every key filled in. */
	readonly config: ResolvedTrainConfig;
	#native: Promise<NativeTrainer> | undefined;
	#last: Promise<unknown> = Promise.resolve();
	#completedSteps = 0;
	#evaluation: {readonly step: number; readonly nll: number; readonly standardError: number} | undefined;
	#disposed = false;

	/**
	 * The optimizer's memory is taken on first use, and its errors come from there.
	 * @throws ConfigError naming the key, what it got and what it takes.
	 */
	constructor(model: Model, config: TrainConfig = {}) {
		if (!(model instanceof Model)) throw new ConfigError('Trainer: the first argument is not a Model');
		this.model = model;
		this.config = resolveTrainConfig(config, model.config);
	}

	/**
	 * Continues a saved run, with the same results as if it had never stopped: on the CPU, bit for bit.
	 *
	 * @param folder A run folder (its latest checkpoint) or one of its checkpoints.
	 * @throws CheckpointError naming the file and what is wrong with it; ConfigError, DeviceError, OutOfMemoryError.
	 */
	static async resume(folder: string, {device, dtype, config}: ResumeOptions = {}): Promise<Trainer> {
		const checkpoint = await resolveCheckpoint(folder);
		const {completedSteps, train, evaluation, optimizerPath} = await readTrainerState(checkpoint);
		const model = await Model.load(checkpoint, {device, dtype});
		try {
			const trainer = new Trainer(model, {...train, ...withoutUndefined(config ?? {})});
			await trainer.#exclusive(async native => {
				await native.load(optimizerPath);
				if (native.completedSteps !== completedSteps) {
					throw new CheckpointError(
						`${optimizerPath} is of step ${native.completedSteps}, but state.json beside it of step ${completedSteps}`,
					);
				}
			});
			trainer.#completedSteps = completedSteps;
			trainer.#evaluation = evaluation && {
				step: completedSteps,
				nll: evaluation.nll,
				standardError: evaluation.standardError ?? Number.NaN,
			};
			return trainer;
		} catch (error) {
			model.dispose();
			throw error;
		}
	}

	/** Optimizer steps since the run began, those before a resume included. */
	get completedSteps(): number {
		return this.#completedSteps;
	}

	/**
	 * One optimizer step: on `batchSize` sequences drawn from a dataset by (seed, step), or on a batch as it is, which bypasses
	 * the objective.
	 *
	 * @throws ConfigError for a batch that does not fit the model; DataError for a dataset that is too short or has other ids.
	 */
	async step(data: Batch | Dataset): Promise<StepStats> {
		return this.#exclusive(async native => {
			const work =
				data instanceof Dataset ? native.step(nativeDatasetOf(data)) : native.stepBatch(toNativeBatch(data, true));
			const stats = await work;
			this.#completedSteps = stats.step;
			return {kind: 'step', ...stats};
		});
	}

	/**
	 * Steps until `config.steps` are completed, yielding after each, and evaluates and saves as the config says.
	 *
	 * @throws AbortError when the signal ends it; NativeError when the loss or the gradient is no longer finite.
	 */
	async *fit(
		dataset: Dataset,
		{signal, validation, runFolder}: FitOptions = {},
	): AsyncGenerator<StepStats | EvalStats, void, void> {
		const {steps, evalEvery, saveEvery} = this.config;
		const isDue = (every: number) => this.#completedSteps >= steps || (every > 0 && this.#completedSteps % every === 0);
		while (this.#completedSteps < steps) {
			if (signal?.aborted)
				throw new AbortError(`training was aborted after step ${this.#completedSteps}`, {cause: signal.reason});
			const stats = await this.step(dataset);
			checkFinite(stats);
			yield stats;
			if (validation && isDue(evalEvery)) {
				const begin = performance.now();
				const evaluation = await this.evaluate(validation);
				yield {kind: 'eval', step: stats.step, ...evaluation, seconds: (performance.now() - begin) / 1000};
			}

			if (runFolder !== undefined && isDue(saveEvery)) await this.save(runFolder);
		}
	}

	/**
	 * The validation bound: `evalBatches` batches of 64 windows, always the same windows and masks for the same data, times
	 * stratified, never cut to a random length.
	 *
	 * @throws DataError for a dataset that is too short or has ids outside the vocabulary.
	 */
	async evaluate(dataset: Dataset): Promise<Evaluation> {
		if (!(dataset instanceof Dataset)) throw new ConfigError('evaluate: the first argument is not a Dataset');
		return this.#exclusive(async native => {
			const {nll, standardError} = await native.evaluate(nativeDatasetOf(dataset));
			this.#evaluation = {step: this.#completedSteps, nll, standardError};
			return {nll, bitsPerToken: nll / Math.LN2, perplexity: Math.exp(nll), standardError};
		});
	}

	/**
	 * Adds the checkpoint `step-N` to a run folder and points `latest` to it; `best` follows when the model was evaluated after its
	 * last step and the bound is the lowest so far. Only the newest `saveKeep` checkpoints and the best one stay.
	 *
	 * @throws CheckpointError when it cannot be written.
	 */
	async save(runFolder: string): Promise<void> {
		await this.#exclusive(async native => {
			const {model, config, completedSteps} = this;
			const isCurrent = this.#evaluation?.step === completedSteps && Number.isFinite(this.#evaluation.nll);
			const {nll, standardError} = (isCurrent && this.#evaluation) || {nll: undefined, standardError: undefined};
			const evaluation = nll === undefined ? undefined : {nll, standardError};
			await addCheckpoint(runFolder, {
				step: completedSteps,
				nll,
				keep: config.saveKeep,
				description: {model: model.config, train: config},
				build: async folder => {
					await fillWithModel(model, folder);
					const state = {completedSteps, train: config, evaluation};
					await writeTrainerState(folder, state, path => nativeCall(() => native.save(path)));
				},
			});
		});
	}

	/** Frees the optimizer's memory, as `Model.dispose` does; the model stays usable. */
	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		// a trainer whose creation failed has nothing to free, and its error was reported by the call that needed it
		this.#native?.then(native => native.dispose()).catch(() => {});
	}

	[Symbol.dispose](): void {
		this.dispose();
	}

	/** Disposes and waits until the running call has ended. */
	async [Symbol.asyncDispose](): Promise<void> {
		this.dispose();
		await this.#last;
	}

	/** Runs calls one after the other, so that a checkpoint is never of two steps at once. */
	async #exclusive<T>(work: (native: NativeTrainer) => Promise<T>): Promise<T> {
		const run = async () => work(await this.#create());
		const result = this.#last.then(() => nativeCall(run));
		this.#last = result.catch(() => {});
		return result;
	}

	async #create(): Promise<NativeTrainer> {
		if (this.#disposed) throw new DisposedError('the trainer has been disposed');
		this.#native ??= loadNative().createTrainer(nativeModelOf(this.model), toNativeTrainConfig(this.config));
		try {
			return await this.#native;
		} catch (error) {
			this.#native = undefined; // the next call may have more memory
			throw error;
		}
	}
}

function checkFinite({step, loss, gradientNorm}: StepStats): void {
	if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
	throw new NativeError(
		`training diverged at step ${step}: loss ${loss}, gradient norm ${gradientNorm}; continue from the last checkpoint with a lower learningRate`,
	);
}
