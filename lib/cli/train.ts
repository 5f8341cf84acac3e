// `dllm-native train`: starts or continues a run, shows how it goes, saves it, and prints samples at the end.
import process from 'node:process';
import {type Command, Option} from 'commander';
import {AbortError} from '../errors.js';
import {presets} from '../presets.js';
import {tokenizerKinds} from '../tokenizers/codec.js';
import {InterruptedError, Interruption} from './exit.js';
import {addConfigFlags, addDeviceFlags} from './flags.js';
import {Metrics} from './metrics.js';
import {isTerminal, note, whenOutputCloses} from './output.js';
import {modelFlags, trainFlags} from './train-config.js';
import {TrainReport} from './train-report.js';
import {drawSamples} from './train-samples.js';
import {type Run, startRun, type TrainOptions} from './train-start.js';

const examples = `
Without flags it trains on tiny shakespeare, with a preset that fits the device.
A --config file is JSON with the keys of the training flags in camelCase, and preset, model (an object with the keys of
the model flags), input, data, tokenizer, device, dtype and out; flags win. --batch_size and --batchSize are --batch-size.

Examples:
  dllm-native train --input book.txt --out runs/book
  dllm-native train --input book.txt --preset baby --steps 2000 --batch-size 32
  dllm-native train --resume runs/book --steps 3000`;

export function register(command: Command): void {
	command
		.option('--input <file>', 'text to train on; its last tenth is held out')
		.option('--data <folder>', 'a dataset made by `dllm-native prepare`, instead of --input')
		.addOption(
			new Option(
				'--tokenizer <kind>',
				'how --input becomes tokens (default: char; gpt2 with the gpt2 presets)',
			).choices(tokenizerKinds),
		)
		.addOption(
			new Option('--preset <name>', 'model and recipe to start from (default: one that fits the device)').choices(
				Object.keys(presets),
			),
		)
		.option('--out <folder>', 'run folder for checkpoints and metrics (default: runs/PRESET-DATE-TIME)')
		.option('--resume <folder>', 'continue the run in this folder; --steps can extend it')
		.option('--config <file>', 'JSON file with the keys of the flags below; flags win')
		.option('--json', 'print JSON lines');
	addDeviceFlags(command, 'bfloat16 on CUDA, float32 on the CPU; of a resumed run its own');
	addConfigFlags(command, 'train', trainFlags);
	addConfigFlags(command, 'model', modelFlags);
	command.addHelpText('after', examples).action(train);
}

async function train(options: TrainOptions): Promise<void> {
	using interruption = new Interruption(name =>
		note(`${isTerminal(process.stderr) ? '\n' : ''}${name}: finishing the step and saving; once more stops at once`),
	);
	whenOutputCloses(exitCode => interruption.request(exitCode));
	await using run = await startRun(options, interruption);
	using metrics = await Metrics.open(run.folder, run.trainer.completedSteps);
	const report = new TrainReport(run, {json: options.json ?? false, metrics});
	report.start();
	const {steps} = run.trainer.config;
	if (run.trainer.completedSteps >= steps) {
		note(`this run has completed its ${steps} steps; --steps N continues it up to step N`);
		return;
	}

	if (run.trainer.stoppedEarly) {
		note('this run has stopped early; a larger --early-stopping-patience, or 0, continues it');
		return;
	}

	report.finish(await trainToEnd(run, report, interruption));
}

/**
 * Steps, evaluates and saves, and returns texts by the trained model.
 * @throws InterruptedError after a signal, when the run has been saved once more.
 */
async function trainToEnd(run: Run, report: TrainReport, interruption: Interruption): Promise<string[]> {
	const {trainer, data, folder} = run;
	const {signal} = interruption;
	try {
		for await (const stats of trainer.fit(data.train, {validation: data.validation, runFolder: folder, signal})) {
			report.add(stats);
		}

		return await drawSamples(run, signal);
	} catch (error) {
		if (!interruption.requested || !(error instanceof AbortError)) throw error;
		await trainer.save(folder);
		report.interrupted();
		throw new InterruptedError(interruption.exitCode);
	} finally {
		report.endProgress();
	}
}
