// What a training run prints: a live line on a terminal, plain lines or JSON lines on standard output.
import process from 'node:process';
import type {EvalStats, StepStats} from '../trainer.js';
import type {Metrics} from './metrics.js';
import {
	formatBound,
	formatCount,
	formatSeconds,
	isTerminal,
	note,
	ProgressLine,
	paint,
	print,
	printable,
	printJson,
} from './output.js';
import type {Run} from './train-start.js';

type Options = {readonly json: boolean; readonly metrics: Metrics};

/** Averages shown cover about this many steps: the loss of a single one is mostly the noise of its mask times. */
const WINDOW = 20;

export class TrainReport {
	readonly #run: Run;
	readonly #json: boolean;
	readonly #metrics: Metrics;
	readonly #progress = new ProgressLine();
	readonly #begin = performance.now();
	/** Steps between two plain lines. */
	readonly #every: number;
	#steps = 0;
	#averages = {loss: 0, tokens: 0, seconds: 0};
	#evaluation: EvalStats | undefined;

	constructor(run: Run, {json, metrics}: Options) {
		this.#run = run;
		this.#json = json;
		this.#metrics = metrics;
		this.#every = Math.max(1, Math.ceil(run.trainer.config.steps / 100));
	}

	start(): void {
		const {folder, data, trainer, title} = this.#run;
		const {model, config, completedSteps} = trainer;
		if (this.#json) {
			const {device, fallbackReason, dtype, parameterCount} = model;
			printJson({
				kind: 'start',
				folder,
				device,
				...(fallbackReason !== undefined && {fallbackReason}),
				dtype,
				parameterCount,
				completedSteps,
				model: model.config,
				train: config,
				data: data.record,
			});
			return;
		}

		const {layers, heads, width, contextLength} = model.config;
		print(
			`${paint('bold', title)} on ${model.device}${model.dtype === 'float32' ? '' : ` in ${model.dtype}`}: ${formatCount(model.parameterCount)} parameters ` +
				`(${layers} layers, ${heads} heads, width ${width}, context ${contextLength})`,
		);
		if (model.fallbackReason !== undefined) print(`on the CPU because ${model.fallbackReason}`);
		print(
			`data: ${data.description}, ${formatCount(data.train.length)} tokens, ${formatCount(data.validation.length)} held out; ` +
				`tokenizer ${data.tokenizer.kind}, ${data.tokenizer.vocabSize} ids`,
		);
		print(`run folder: ${folder}`);
		if (completedSteps >= config.steps) return;
		print(
			`steps ${completedSteps + 1} to ${config.steps}, ${config.batchSize} sequences of ${config.contextLength} tokens each\n`,
		);
	}

	add(stats: StepStats | EvalStats): void {
		this.#metrics.add(stats);
		if (this.#json) printJson(stats);
		if (stats.kind === 'step') this.#addStep(stats);
		else this.#addEvaluation(stats);
	}

	#addStep(stats: StepStats): void {
		if (!stats.updated) {
			const {onNonFinite} = this.#run.trainer.config;
			const done = onNonFinite === 'rollback' ? 'went back to the last checkpoint' : 'skipped';
			this.#progress.above(() =>
				note(`step ${stats.step}: loss ${stats.loss}, gradient norm ${stats.gradientNorm}: ${done}`),
			);
			return;
		}

		this.#steps++;
		const weight = 1 / Math.min(this.#steps, WINDOW);
		const {loss, tokens, seconds} = this.#averages;
		this.#averages = {
			loss: loss + weight * (stats.loss - loss),
			tokens: tokens + weight * (stats.tokens - tokens),
			seconds: seconds + weight * (stats.seconds - seconds),
		};
		const text = this.#describeStep(stats);
		this.#progress.update(text);
		const {step} = stats;
		const isShownLive = this.#progress.live && isTerminal(process.stdout);
		const isDue = step === 1 || step === this.#run.trainer.config.steps || step % this.#every === 0;
		if (!this.#json && !isShownLive && isDue) print(text);
	}

	#describeStep({step, learningRate}: StepStats): string {
		const {loss, tokens, seconds} = this.#averages;
		const {steps} = this.#run.trainer.config;
		return [
			`step ${String(step).padStart(String(steps).length)}/${steps}`,
			`loss ${loss.toFixed(4)}`,
			...(this.#evaluation ? [`bound ${this.#evaluation.nll.toFixed(4)}`] : []),
			`rate ${learningRate.toExponential(1)}`,
			`${formatCount(tokens / seconds)} tokens/s`,
			`${formatSeconds((steps - step) * seconds)} left`,
		].join('  ');
	}

	#addEvaluation(stats: EvalStats): void {
		this.#evaluation = stats;
		if (this.#json) return;
		this.#progress.above(() => print(`step ${stats.step}  ${paint('bold', `validation bound ${formatBound(stats)}`)}`));
	}

	endProgress(): void {
		this.#progress.end();
	}

	interrupted(): void {
		const {folder, trainer} = this.#run;
		if (this.#json) printJson({kind: 'interrupted', step: trainer.completedSteps, folder});
		note(`saved step ${trainer.completedSteps} to ${folder}; to continue: npx dllm-native train --resume ${folder}`);
	}

	/** @param samples Texts by the trained model. */
	finish(samples: readonly string[]): void {
		const {folder, trainer} = this.#run;
		const seconds = (performance.now() - this.#begin) / 1000;
		if (this.#json) {
			const {nll, bitsPerToken, perplexity, standardError} = this.#evaluation!;
			const evaluation = {nll, bitsPerToken, perplexity, standardError};
			printJson({kind: 'end', step: trainer.completedSteps, folder, seconds, evaluation, samples});
			return;
		}

		for (const [index, text] of samples.entries())
			print(`\n${paint('dim', `sample ${index + 1}:`)}\n${printable(text)}`);
		if (trainer.stoppedEarly)
			print(
				`\nstopped early after step ${trainer.completedSteps}: ${trainer.config.earlyStoppingPatience} evaluations without a lower bound`,
			);
		print(`\ntrained in ${formatSeconds(seconds)}: validation bound ${formatBound(this.#evaluation!)}`);
		print(`saved in ${folder}\n`);
		print('Next:');
		print(`  npx dllm-native sample --model ${folder} --temperature 1 --watch`);
		print(`  npx dllm-native eval --model ${folder}`);
		const more = trainer.stoppedEarly ? '--early-stopping-patience 0' : `--steps ${2 * trainer.config.steps}`;
		print(`  npx dllm-native train --resume ${folder} ${more}`);
	}
}
