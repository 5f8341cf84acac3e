// What a Trainer is given beside its config, and what it reports.
import type {TrainConfig} from './config.js';
import type {Dataset} from './dataset.js';
import type {DeviceName, DType} from './devices.js';
import type {NativeStepStats} from './native-types.js';

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
	/** Ends the loop between two steps, or an evaluation within a batch, with ERR_ABORTED; the trainer can be saved and continued. */
	readonly signal?: AbortSignal;
	/** Evaluated every `evalEvery` steps and after the last one. */
	readonly validation?: Dataset;
	/** Saved to every `saveEvery` steps and after the last one. */
	readonly runFolder?: string;
};

export type EvaluateOptions = {
	/** Ends the evaluation early with ERR_ABORTED. */
	readonly signal?: AbortSignal;
};

export type ResumeOptions = {
	/** @default 'auto', the first usable GPU, else the CPU */
	readonly device?: DeviceName;
	/** @default that of the saved run */
	readonly dtype?: DType;
	/**
	 * Keys of the run's config to change, such as more `steps`; the continued run is then another one. Of the objective, keys
	 * that are not given stay as they were, and its kind cannot change.
	 */
	readonly config?: TrainConfig;
};
