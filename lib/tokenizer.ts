// Text to token ids and back, for the three kinds of tokenizers this package writes itself.
import path from 'node:path';
import {checkArgument, checkKeys, checkPath, checkString} from './config/arguments.js';
import {TokenizerError} from './errors.js';
import {describeCause, makeFolder, readJsonFile, writeFileAtomic} from './files.js';
import {byteCodec} from './tokenizers/byte.js';
import {createCharCodec, findLoneSurrogate, sortCharacters} from './tokenizers/char.js';
import type {Codec, TokenizerKind} from './tokenizers/codec.js';
import type {TokenizerDescription} from './tokenizers/schema.js';

export type {TokenizerKind} from './tokenizers/codec.js';
export type {TokenizerDescription} from './tokenizers/schema.js';

/** The file of a tokenizer in a checkpoint folder. */
export const tokenizerFile = 'tokenizer_dllm.json';

/**
 * Text to token ids and back. Every kind has one mask token more than its text needs, and it is the last id; no text
 * encodes to it.
 *
 * | kind | ids | vocabSize |
 * |---|---|---|
 * | `char` | Unicode characters in code point order, as nanoGPT numbers them | characters + 1 |
 * | `byte` | bytes of UTF-8 | 257 |
 * | `gpt2` | GPT-2's byte pairs; 50256 ends a document | 50258 |
 */
export class Tokenizer {
	readonly #codec: Codec;

	private constructor(codec: Codec) {
		this.#codec = codec;
	}

	/**
	 * A tokenizer of the characters that occur in a text.
	 *
	 * @throws {TokenizerError} when the text is empty or has a lone surrogate.
	 */
	static char(text: string): Tokenizer {
		checkString('the text of a char tokenizer', text);
		if (text === '') throw new TokenizerError('a char tokenizer needs a text with at least one character');
		checkWellFormed(text);
		return new Tokenizer(createCharCodec(sortCharacters(text)));
	}

	/** A tokenizer of the 256 bytes. */
	static byte(): Tokenizer {
		return new Tokenizer(byteCodec);
	}

	/** GPT-2's tokenizer. Its table is loaded on first use, hence a promise. */
	static async gpt2(): Promise<Tokenizer> {
		gpt2Codec ??= import('./tokenizers/gpt2.js').then(({createGpt2Codec}) => createGpt2Codec());
		return new Tokenizer(await gpt2Codec);
	}

	/**
	 * The tokenizer that a description was taken from.
	 * @throws {TokenizerError} naming the key that is wrong.
	 */
	static async fromDescription(description: TokenizerDescription): Promise<Tokenizer> {
		return Tokenizer.#parse(description, 'the description of a tokenizer');
	}

	static async #parse(value: unknown, name: string): Promise<Tokenizer> {
		const {parseTokenizer} = await import('./tokenizers/schema.js');
		const description = parseTokenizer(value, {name, fail: message => new TokenizerError(message)});
		if (description.kind === 'char') return Tokenizer.char(description.characters);
		return description.kind === 'byte' ? Tokenizer.byte() : Tokenizer.gpt2();
	}

	/**
	 * Reads `tokenizer_dllm.json` from a folder.
	 *
	 * @throws {TokenizerError} naming the file and what is wrong with it.
	 */
	static async load(folder: string): Promise<Tokenizer> {
		checkPath('the folder of a tokenizer', folder);
		const file = path.join(folder, tokenizerFile);
		return Tokenizer.#parse(await readJsonFile(file, 'tokenizer', {error: TokenizerError}), file);
	}

	get kind(): TokenizerKind {
		return this.#codec.kind;
	}

	/** Number of ids, the mask token included. */
	get vocabSize(): number {
		return this.#codec.size + 1;
	}

	/** The last id. */
	get maskTokenId(): number {
		return this.#codec.size;
	}

	/** Id that ends a document; only `gpt2` has one. */
	get eosTokenId(): number | undefined {
		return this.#codec.eosTokenId;
	}

	/** What is stored of this tokenizer. */
	get description(): TokenizerDescription {
		const {kind, size, characters} = this.#codec;
		const common = {formatVersion: 1, vocabSize: size + 1, maskTokenId: size} as const;
		return kind === 'char' ? {...common, kind, characters: characters ?? ''} : {...common, kind};
	}

	/**
	 * Text to ids, never the mask token and never the end of a document: special tokens written out in a text are text.
	 *
	 * @throws {TokenizerError} naming a character that a `char` tokenizer does not have, or a lone surrogate.
	 */
	encode(text: string): Int32Array {
		checkString('the text to encode', text);
		checkWellFormed(text);
		return this.#codec.encode(text);
	}

	/**
	 * Ids to text. A mask token is shown as `mask`; what is not whole UTF-8 in a `byte` or `gpt2` text, as where tokens are cut
	 * off or masked within a character, is shown as U+FFFD. Nothing is kept from one call to the next.
	 *
	 * @param options.mask Shown for a mask token. @default '█' (U+2588)
	 * @throws {TokenizerError} naming an id outside the vocabulary.
	 */
	decode(tokens: ArrayLike<number>, options: {readonly mask?: string} = {}): string {
		const isList = Array.isArray(tokens) || ArrayBuffer.isView(tokens);
		checkArgument('the tokens to decode', tokens, isList, 'an array of ids');
		checkKeys('the options of decode', options, ['mask']);
		const {mask = '█'} = options;
		checkString('mask', mask);
		const {maskTokenId} = this;
		let text = '';
		let unmasked: number[] = [];
		for (let index = 0; index < tokens.length; index++) {
			const id = tokens[index];
			if (!(Number.isInteger(id) && id >= 0 && id <= maskTokenId)) {
				throw new TokenizerError(`cannot decode id ${id} at position ${index}: ids are 0 to ${maskTokenId}`);
			}

			if (id === maskTokenId) {
				text += this.#codec.decode(unmasked) + mask;
				unmasked = [];
			} else {
				unmasked.push(id);
			}
		}

		return text + this.#codec.decode(unmasked);
	}

	/**
	 * Writes `tokenizer_dllm.json` into a folder, which is made if it does not exist.
	 *
	 * @throws {TokenizerError} when it cannot be written.
	 */
	async save(folder: string): Promise<void> {
		checkPath('the folder of a tokenizer', folder);
		const file = path.join(folder, tokenizerFile);
		try {
			await makeFolder(folder);
			await writeFileAtomic(file, `${JSON.stringify(this.description, undefined, '\t')}\n`);
		} catch (cause) {
			throw new TokenizerError(`cannot write ${file}: ${describeCause(cause)}`, {cause});
		}
	}
}

let gpt2Codec: Promise<Codec> | undefined;

function checkWellFormed(text: string): void {
	const offset = findLoneSurrogate(text);
	if (offset === -1) return;
	const unit = text.charCodeAt(offset).toString(16).toUpperCase();
	throw new TokenizerError(`the text is not well-formed Unicode: lone surrogate U+${unit} at offset ${offset}`);
}
