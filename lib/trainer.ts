// Trains a model: steps, the loop around them, the validation bound, and checkpoints that a run continues from.
import {type Batch, toNativeBatch} from './batch.js';
import {checkArgument, checkInstance, checkKeys, checkPath} from './config/arguments.js';
import {changeConfig} from './config/resume.js';
import {type ResolvedTrainConfig, resolveTrainConfig, type TrainConfig, toNativeTrainConfig} from './config.js';
import {checkVocabulary, Dataset, nativeDatasetOf} from './dataset.js';
import {EarlyStopping} from './early-stopping.js';
import {AbortError, CheckpointError, ConfigError, DisposedError, NonFiniteError} from './errors.js';
import {fillWithModel, Model, nativeModelOf} from './model.js';
import {loadNative} from './native.js';
import {abortableCall, nativeCall} from './native-call.js';
import type {NativeTrainer} from './native-types.js';
import {addCheckpoint, resolveCheckpoint} from './run-folder.js';
import {loadTrainer, rollBack, saveTrainer} from './trainer-files.js';
import {readTrainerState} from './trainer-state.js';
import type {EvalStats, EvaluateOptions, Evaluation, FitOptions, ResumeOptions, StepStats} from './trainer-types.js';

export type {EvalStats, EvaluateOptions, Evaluation, FitOptions, ResumeOptions, StepStats} from './trainer-types.js';

const fitKeys = ['signal', 'validation', 'runFolder'] as const satisfies readonly (keyof FitOptions)[];
const evaluateKeys = ['signal'] as const satisfies readonly (keyof EvaluateOptions)[];
/** Steps in a row without finite loss and gradient before `skip` and `rollback` give up. */
const MAX_NON_FINITE = 10;

const resumeKeys = ['device', 'dtype', 'config'] as const satisfies readonly (keyof ResumeOptions)[];

/** Trains a model: each step draws sequences, masks them, predicts the masked tokens and updates the weights. */
export class Trainer {
	readonly model: Model;
	/** Every key filled in. */
	readonly config: ResolvedTrainConfig;
	#native: Promise<NativeTrainer> | undefined;
	#last: Promise<unknown> = Promise.resolve();
	#completedSteps = 0;
	#evaluation: {readonly step: number; readonly nll: number; readonly standardError: number} | undefined;
	#earlyStopping: EarlyStopping;
	/** Of the last save or resume: where `rollback` goes back to. */
	#checkpoint: string | undefined;
	#nonFiniteSteps = 0;
	#disposed = false;

	/**
	 * The optimizer's memory is taken on first use, and its errors come from there.
	 * @throws ConfigError naming the key, what it got and what it takes.
	 */
	constructor(model: Model, config: TrainConfig = {}) {
		checkInstance('the model of a Trainer', model, Model);
		this.model = model;
		this.config = resolveTrainConfig(config, model.config);
		this.#earlyStopping = new EarlyStopping(this.config.earlyStoppingPatience);
	}

	/**
	 * Continues a saved run, with the same results as if it had never stopped: on the CPU, bit for bit. (A checkpoint that only the
	 * stop has caused is one more that `onNonFinite: 'rollback'` can go back to.)
	 *
	 * @param folder A run folder (its latest checkpoint) or one of its checkpoints.
	 * @throws CheckpointError naming the file and what is wrong with it; ConfigError, DeviceError, OutOfMemoryError.
	 */
	static async resume(folder: string, options: ResumeOptions = {}): Promise<Trainer> {
		checkKeys('the options of resume', options, resumeKeys);
		const {device, dtype, config = {}} = options;
		checkArgument(
			'config',
			config,
			typeof config === 'object' && config !== null,
			'an object with keys of TrainConfig',
		);
		const checkpoint = await resolveCheckpoint(folder);
		const state = await readTrainerState(checkpoint);
		const {completedSteps, train, evaluation, earlyStopping, nonFiniteSteps} = state;
		const model = await Model.load(checkpoint, {device, dtype: dtype ?? state.dtype, ema: false});
		try {
			const trainer = new Trainer(model, changeConfig(train, config));
			await trainer.#exclusive(native => loadTrainer(native, checkpoint, state, trainer.config));
			trainer.#checkpoint = checkpoint;
			trainer.#nonFiniteSteps = nonFiniteSteps;
			trainer.#earlyStopping = new EarlyStopping(trainer.config.earlyStoppingPatience, earlyStopping);
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

	/** Whether `earlyStoppingPatience` has ended the run. */
	get stoppedEarly(): boolean {
		return this.#earlyStopping.isDue;
	}

	/**
	 * One optimizer step: on `batchSize` sequences drawn from a dataset by (seed, step), or on a batch as it is, which bypasses
	 * the objective.
	 *
	 * @throws ConfigError for a batch that does not fit the model; DataError for a dataset that is too short or of
	 * another vocabulary; NonFiniteError as `onNonFinite` says.
	 */
	async step(data: Batch | Dataset): Promise<StepStats> {
		checkArgument('the data of step', data, typeof data === 'object' && data !== null, 'a Dataset or a batch');
		if (data instanceof Dataset) checkVocabulary(data, this.model);
		return this.#exclusive(async native => {
			const work =
				data instanceof Dataset ? native.step(nativeDatasetOf(data)) : native.stepBatch(toNativeBatch(data, true));
			const stats: StepStats = {kind: 'step', ...(await work)};
			if (stats.updated) this.#nonFiniteSteps = 0;
			else await this.#skip(native, stats);
			this.#completedSteps = stats.step;
			return stats;
		});
	}

	/**
	 * Steps until `config.steps` are completed, yielding after each, and evaluates and saves as the config says.
	 *
	 * @throws AbortError when the signal ends it; NonFiniteError as `onNonFinite` says; ConfigError for `rollback` without a
	 * run folder.
	 */
	async *fit(dataset: Dataset, options: FitOptions = {}): AsyncGenerator<StepStats | EvalStats, void, void> {
		checkInstance('the data of fit', dataset, Dataset);
		checkKeys('the options of fit', options, fitKeys);
		const {signal, validation, runFolder} = options;
		if (signal !== undefined) checkInstance('signal', signal, AbortSignal);
		if (validation !== undefined) checkInstance('validation', validation, Dataset);
		if (runFolder !== undefined) checkPath('runFolder', runFolder);
		checkVocabulary(dataset, this.model);
		if (validation !== undefined) checkVocabulary(validation, this.model);
		const {steps, evalEvery, saveEvery, onNonFinite} = this.config;
		if (onNonFinite === 'rollback' && this.#checkpoint === undefined) {
			if (runFolder === undefined)
				throw new ConfigError(
					'onNonFinite is "rollback"; accepted: with a runFolder, for the checkpoints to go back to',
				);
			await this.save(runFolder);
		}

		const isDue = (every: number) => this.#completedSteps >= steps || (every > 0 && this.#completedSteps % every === 0);
		for (let isChanged = false; ; isChanged = true) {
			// also an evaluation that the end of an earlier call cut short
			const owesEvaluation =
				this.#completedSteps > 0 &&
				isDue(evalEvery) &&
				this.#earlyStopping.state.evaluatedStep !== this.#completedSteps;
			if (validation && owesEvaluation) {
				const begin = performance.now();
				const evaluation = await this.evaluate(validation, {signal});
				this.#earlyStopping.add(evaluation.nll, this.#completedSteps);
				isChanged = true;
				yield {kind: 'eval', step: this.#completedSteps, ...evaluation, seconds: (performance.now() - begin) / 1000};
			}

			if (runFolder !== undefined && isChanged && (isDue(saveEvery) || this.stoppedEarly)) await this.save(runFolder);
			if (this.#completedSteps >= steps || this.stoppedEarly) return;
			if (signal?.aborted)
				throw new AbortError(`training was aborted after step ${this.#completedSteps}`, {cause: signal.reason});
			yield await this.step(dataset);
		}
	}

	/**
	 * The validation bound, of the average with `emaDecay`: `evalBatches` batches of 64 windows, always the same windows and masks for the same data, times
	 * stratified, never cut to a random length.
	 *
	 * @throws DataError for a dataset that is too short or of another vocabulary; AbortError after `signal` or `dispose()`.
	 */
	async evaluate(dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
		checkInstance('the data of evaluate', dataset, Dataset);
		checkKeys('the options of evaluate', options, evaluateKeys);
		const {signal} = options;
		if (signal !== undefined) checkInstance('signal', signal, AbortSignal);
		checkVocabulary(dataset, this.model);
		return this.#exclusive(async native => {
			const {nll, standardError} = await abortableCall(native, signal, 'the evaluation', () =>
				native.evaluate(nativeDatasetOf(dataset)),
			);
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
		checkPath('runFolder', runFolder);
		await this.#exclusive(async native => {
			const {model, config, completedSteps} = this;
			if (native.completedSteps !== completedSteps)
				throw new CheckpointError(
					'a rollback that failed left this trainer between two steps; resume from its last checkpoint',
				);
			const isCurrent = this.#evaluation?.step === completedSteps && Number.isFinite(this.#evaluation.nll);
			const {nll, standardError} = (isCurrent && this.#evaluation) || {nll: undefined, standardError: undefined};
			const evaluation = nll === undefined ? undefined : {nll, standardError};
			this.#checkpoint = await addCheckpoint(runFolder, {
				step: completedSteps,
				nll,
				keep: config.saveKeep,
				description: {model: model.config, train: config},
				// weights, two moments, and the average where one is kept
				bytes: 4 * model.parameterCount * (config.emaDecay > 0 ? 4 : 3),
				build: async folder => {
					await fillWithModel(model, folder);
					const {state: earlyStopping} = this.#earlyStopping;
					const nonFiniteSteps = this.#nonFiniteSteps;
					const {dtype} = model;
					const state = {completedSteps, dtype, train: config, evaluation, earlyStopping, nonFiniteSteps};
					await saveTrainer(native, folder, state);
				},
			});
		});
	}

	/** Frees the optimizer's memory, as `Model.dispose` does, and ends a running evaluation; the model stays usable. */
	dispose(): void {
		if (this.#disposed) return;
		this.#disposed = true;
		// a trainer whose creation failed has nothing to free, and its error was reported by the call that needed it
		this.#native
			?.then(native => {
				native.abort();
				native.dispose();
			})
			.catch(() => {});
	}

	[Symbol.dispose](): void {
		this.dispose();
	}

	/** Disposes and waits until the running call has ended. */
	async [Symbol.asyncDispose](): Promise<void> {
		this.dispose();
		await this.#last;
	}

	/** Counts a step that is not finite as completed, as `onNonFinite` says, or throws. */
	async #skip(native: NativeTrainer, {step, loss, gradientNorm}: StepStats): Promise<void> {
		const {onNonFinite, emaDecay} = this.config;
		const problem = `step ${step} has loss ${loss} and gradient norm ${gradientNorm}`;
		if (onNonFinite === 'abort')
			throw new NonFiniteError(`${problem}; the weights are those before it. A lower learningRate may help`);
		if (++this.#nonFiniteSteps >= MAX_NON_FINITE)
			throw new NonFiniteError(`${problem}, the ${MAX_NON_FINITE}th such step in a row; a lower learningRate may help`);
		if (onNonFinite === 'skip') return native.skipTo(step);
		if (this.#checkpoint === undefined)
			throw new NonFiniteError(`${problem}, and no checkpoint has been saved that "rollback" could go back to`);
		await rollBack(native, this.#checkpoint, {emaDecay, step});
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
