// `dllm-native eval`: the validation bound of a model on held-out text.
import path from 'node:path';
import type {Command} from 'commander';
import type {TrainConfig} from '../config.js';
import type {DeviceName, DType} from '../devices.js';
import {ConfigError} from '../errors.js';
import {exists} from '../files.js';
import {Model} from '../model.js';
import {resolveCheckpoint} from '../run-folder.js';
import type {Tokenizer} from '../tokenizer.js';
import {Trainer} from '../trainer.js';
import {readTrainerState} from '../trainer-state.js';
import {readDataRecord} from './data-record.js';
import {UsageError} from './exit.js';
import {addConfigFlags, addDeviceFlags, configFromFlags} from './flags.js';
import {formatBound, formatCount, print, printJson} from './output.js';
import {openFile, openFolder, openRecord, type RunData} from './run-data.js';
import {newestRun} from './runs.js';

type EvalFlags = Readonly<Record<string, unknown>> & {
	readonly model?: string;
	readonly input?: string;
	readonly data?: string;
	readonly device?: DeviceName;
	readonly dtype?: DType;
	readonly json?: boolean;
};

const evalFlags = {heading: 'Evaluation:', only: ['contextLength', 'evalBatches']} as const;

const explanation = `
The held-out part of a file is its last tenth; of a dataset, val.bin. The bound is an upper bound of the negative
log-likelihood, in nats per token; a model trained with the objective next_token gets the exact value.

The built-in corpus is drawn from a grammar, so the exact negative log-likelihood of its held-out stories is known and
printed too, with the gap: the bound minus it. A perfect model has a small gap, since a window does not show what comes
before it; a gap below 0 by several standard errors would mean that the model sees its answers.

--json prints {"nll", "bitsPerToken", "perplexity", "standardError"}, and for the built-in corpus "exact": {"nll", "gap"}.`;

export function register(command: Command): void {
	command
		.option('--model <folder>', 'a run or a checkpoint (default: the newest run in runs/)')
		.option('--input <file>', 'text whose last tenth is evaluated (default: what the run was trained on)')
		.option('--data <folder>', 'a dataset made by `dllm-native prepare`, instead of --input')
		.option('--json', 'print one JSON object');
	addDeviceFlags(command);
	addConfigFlags(command, 'train', evalFlags);
	command.addHelpText('after', explanation).action(evaluate);
}

async function evaluate(flags: EvalFlags): Promise<void> {
	if (flags.input !== undefined && flags.data !== undefined)
		throw new UsageError('--input and --data exclude each other');
	const given = configFromFlags('train', flags, evalFlags);
	const source = flags.model ?? (await newestRun());
	const checkpoint = await resolveCheckpoint(source);
	const trained = await readTrainConfig(checkpoint);
	await using model = await Model.load(checkpoint, {device: flags.device, dtype: flags.dtype});
	if (!model.tokenizer) throw new ConfigError(`${source} has no tokenizer, so it cannot be evaluated on text`);
	await using trainer = new Trainer(model, {...trained, ...given});
	const {contextLength} = trainer.config;
	const {validation, description, exactNll} = await openData(flags, source, model.tokenizer, contextLength);
	const {nll, bitsPerToken, perplexity, standardError} = await trainer.evaluate(validation);
	const exact = exactNll === undefined ? undefined : {nll: exactNll, gap: nll - exactNll};
	if (flags.json) {
		printJson({nll, bitsPerToken, perplexity, standardError, ...(exact && {exact})});
		return;
	}

	print(`${source} on the held-out part of ${description} (${formatCount(validation.length)} tokens):`);
	print(formatBound({nll, bitsPerToken, perplexity, standardError}));
	if (exact) {
		const gap = `${exact.gap < 0 ? '' : '+'}${exact.gap.toFixed(4)}`;
		print(`exact value under the grammar of the stories: ${exact.nll.toFixed(4)} nats per token; gap ${gap}`);
	}
}

/** What decides the evaluation: the objective and the sequence length of the training run. Empty for a model without one. */
async function readTrainConfig(checkpoint: string): Promise<TrainConfig> {
	if (!(await exists(path.join(checkpoint, 'trainer')))) return {};
	const {objective, contextLength} = (await readTrainerState(checkpoint)).train;
	return {objective, contextLength};
}

async function openData(
	{input, data}: EvalFlags,
	source: string,
	tokenizer: Tokenizer,
	contextLength: number,
): Promise<RunData> {
	if (data !== undefined) return openFolder(data, tokenizer, {contextLength});
	if (input !== undefined) return openFile(input, tokenizer, {contextLength});
	const record = await readDataRecord(source);
	if (record) return openRecord(record, tokenizer, contextLength);
	throw new UsageError(
		`${source} does not say what it was trained on; name a text with --input or a dataset with --data`,
	);
}
