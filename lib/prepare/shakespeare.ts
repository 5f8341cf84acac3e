// Prepares tiny shakespeare, nanoGPT's `shakespeare_char`: 65 characters, 1,003,854 + 111,540 tokens.
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {DataError} from '../errors.js';
import {describeCause, exists, makeFolder, writeFileAtomic} from '../files.js';
import {prepareDataset} from './dataset.js';
import {checkFingerprint, type DownloadOptions, download} from './download.js';
import {defaultDataFolder, type PreparedDataset} from './meta.js';

/** The public text, 1.1 MB, from the char-rnn repository (MIT licence). */
export const shakespeareUrl =
	'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt';

const fingerprint = {
	bytes: 1_115_394,
	sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
} as const;

export type ShakespeareConfig = DownloadOptions & {
	/** A local copy of the text; without it, `input.txt` in the output folder is used and downloaded if it is not there. */
	readonly input?: string;
	/** @default defaultDataFolder('shakespeare_char') */
	readonly output?: string;
	/** Where to download from. */
	readonly url?: string;
	/** Whether a dataset that is already there is replaced. @default false */
	readonly overwrite?: boolean;
};

/**
 * Prepares tiny shakespeare at the character level from a local copy or its public download. Only the one known text is
 * accepted, whatever it comes from.
 *
 * @throws {DataError} when the text cannot be had (the message says how to go on without a network) or is another one.
 */
export async function prepareShakespeare(config: ShakespeareConfig = {}): Promise<PreparedDataset> {
	const {output = defaultDataFolder('shakespeare_char'), overwrite = false} = config;
	const input = config.input ?? path.join(output, 'input.txt');
	if (config.input !== undefined || (await exists(input))) await checkText(input);
	else await downloadText(input, config);
	return prepareDataset({input, output, overwrite, tokenizer: 'char', name: 'shakespeare_char'});
}

async function checkText(file: string): Promise<void> {
	const content = await readFile(file).catch((cause: unknown) => {
		throw new DataError(`cannot read ${file}: ${describeCause(cause)}`, {cause});
	});
	try {
		checkFingerprint(content, fingerprint, file);
	} catch (cause) {
		throw new DataError(
			`${(cause as Error).message}: it is not tiny shakespeare; prepare another text as a dataset of its own`,
			{cause},
		);
	}
}

async function downloadText(file: string, {url = shakespeareUrl, ...options}: ShakespeareConfig): Promise<void> {
	let content: Buffer;
	try {
		content = await download(url, fingerprint, options);
	} catch (cause) {
		throw new DataError(`${(cause as Error).message}. Without a network, give a local copy of the text as input`, {
			cause,
		});
	}

	try {
		await makeFolder(path.dirname(file));
		await writeFileAtomic(file, content);
	} catch (cause) {
		throw new DataError(`cannot write ${file}: ${describeCause(cause)}`, {cause});
	}
}
