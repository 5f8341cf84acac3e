// `dllm-native prepare`: turns text into a dataset folder that `train --data` and `eval --data` read.
import path from 'node:path';
import process from 'node:process';
import {type Command, Option} from 'commander';
import type {PreparedDataset} from '../prepare.js';
import type {TokenizerKind} from '../tokenizer.js';
import {tokenizerKinds} from '../tokenizers/codec.js';
import {UsageError} from './exit.js';
import {formatCount, note, print, printJson} from './output.js';

type PrepareFlags = {
	readonly input?: string;
	readonly out?: string;
	readonly tokenizer?: TokenizerKind;
	readonly overwrite?: boolean;
	readonly json?: boolean;
};

const shakespeare = 'shakespeare_char';

export function register(command: Command): void {
	command
		.argument('<source>', `a text file, a folder of text files, or ${shakespeare} (tiny shakespeare)`)
		.option('--input <file>', `a local copy of the text, instead of its download (${shakespeare} only)`)
		.option('--out <folder>', 'where the dataset is written (default: data/NAME)')
		.addOption(new Option('--tokenizer <kind>', 'how text becomes tokens (default: char)').choices(tokenizerKinds))
		.option('--overwrite', 'replace a dataset that is already there')
		.option('--json', 'print one JSON object')
		.action(async (source: string, flags: PrepareFlags) => {
			const {folder, dataset} = await prepare(source, flags);
			report(folder, dataset, flags);
		});
}

async function prepare(source: string, flags: PrepareFlags): Promise<{folder: string; dataset: PreparedDataset}> {
	const {defaultDataFolder, prepareDataset, prepareShakespeare} = await import('../prepare.js');
	const {input, out, tokenizer, overwrite = false} = flags;
	if (source === shakespeare) {
		if (tokenizer !== undefined && tokenizer !== 'char') {
			throw new UsageError(
				`${shakespeare} is tokenized by character; for another tokenizer, prepare its text as a file`,
			);
		}

		const folder = out ?? defaultDataFolder(shakespeare);
		if (input === undefined) note(`tiny shakespeare is downloaded to ${folder} if it is not there yet`);
		const url = process.env.DLLM_SHAKESPEARE_URL;
		return {folder, dataset: await prepareShakespeare({input, output: folder, overwrite, ...(url && {url})})};
	}

	if (input !== undefined) throw new UsageError(`--input goes with ${shakespeare}; the source here is ${source}`);
	const folder = out ?? defaultDataFolder(path.basename(path.resolve(source), path.extname(source)));
	return {folder, dataset: await prepareDataset({input: source, output: folder, tokenizer, overwrite})};
}

function report(folder: string, dataset: PreparedDataset, {json}: PrepareFlags): void {
	const {name, trainTokens, valTokens, tokenizer} = dataset;
	if (json) {
		printJson({folder, name, tokenizer: tokenizer.kind, vocabSize: tokenizer.vocabSize, trainTokens, valTokens});
		return;
	}

	print(`${folder}: ${formatCount(trainTokens)} tokens to train on, ${formatCount(valTokens)} held out`);
	print(`tokenizer ${tokenizer.kind}, ${tokenizer.vocabSize} ids with the mask token`);
	print(`\nNext: dllm-native train --data ${folder}`);
}
