// Token ids to train on and to evaluate with: a prepared folder, a text, or ids.
import {checkArgument, checkInstance, checkKeys, checkPath, checkString} from './config/arguments.js';
import {show} from './config/check.js';
import {DataError} from './errors.js';
import {loadNative} from './native.js';
import {nativeCallSync} from './native-call.js';
import type {NativeDataset} from './native-types.js';
import {tokenBytes} from './prepare/token-file.js';
import {readMeta} from './prepare.js';
import {Tokenizer} from './tokenizer.js';
import {checkLargest, checkTokenizer, type Largest, largestOf, type VocabularyOwner} from './vocabulary.js';

/** The native tokens behind a Dataset. For the other classes of this package. */
export let nativeDatasetOf: (dataset: Dataset) => NativeDataset;

/** Throws DataError when a dataset has other ids than a model. For the other classes of this package. */
export let checkVocabulary: (dataset: Dataset, model: VocabularyOwner) => void;

/** One long sequence of token ids; training and evaluation take windows of it. */
export class Dataset {
	/** Number of tokens. */
	readonly length: number;
	/** What its text was encoded with; undefined for bare ids. */
	readonly tokenizer: Tokenizer | undefined;
	readonly #native: NativeDataset;
	readonly #largest: Largest | undefined;

	static {
		nativeDatasetOf = dataset => dataset.#native;
		checkVocabulary = (dataset, model) => {
			const {tokenizer} = dataset;
			if (tokenizer !== undefined) checkTokenizer(tokenizer, model);
			else if (dataset.#largest !== undefined) checkLargest(dataset.#largest, model);
		};
	}

	private constructor(native: NativeDataset, tokenizer: Tokenizer | undefined, largest?: Largest) {
		this.#native = native;
		this.#largest = largest;
		this.length = native.size;
		this.tokenizer = tokenizer;
	}

	/**
	 * A part of a prepared dataset, memory-mapped.
	 * @throws DataError naming the file that is missing or wrong.
	 */
	static async open(folder: string, options: {readonly split: 'train' | 'val'}): Promise<Dataset> {
		checkPath('the folder of a dataset', folder);
		checkKeys('the options of open', options, ['split']);
		const {split} = options;
		checkArgument('split', split, split === 'train' || split === 'val', '"train" or "val"');
		const {trainPath, valPath, dtype, tokenizer} = await readMeta(folder);
		const file = split === 'train' ? trainPath : valPath;
		const native = nativeCallSync(() => loadNative().openDataset(file, tokenBytes[dtype]));
		return new Dataset(native, await Tokenizer.fromDescription(tokenizer));
	}

	/**
	 * A text, encoded.
	 * @throws TokenizerError for text that the tokenizer cannot encode; DataError for an empty one.
	 */
	static fromText(text: string, tokenizer: Tokenizer): Dataset {
		checkString('the text of a dataset', text);
		checkInstance('the tokenizer of a dataset', tokenizer, Tokenizer);
		return Dataset.#fromIds(tokenizer.encode(text), tokenizer);
	}

	/**
	 * Token ids, copied. That they are in a model's vocabulary is checked when they are used.
	 * @throws DataError naming the first that is not an integer in [0, 2^31).
	 */
	static fromTokens(ids: Int32Array | Uint16Array | Uint32Array | readonly number[]): Dataset {
		const isList =
			Array.isArray(ids) || ids instanceof Int32Array || ids instanceof Uint16Array || ids instanceof Uint32Array;
		if (!isList) throw new DataError(`the tokens are ${show(ids)}; accepted: an array of token ids`);
		const wrong = ids.findIndex(id => !Number.isInteger(id) || id < 0 || id >= 2 ** 31);
		if (wrong !== -1)
			throw new DataError(`token ${wrong} is ${show(ids[wrong])}; accepted: an integer from 0 to ${2 ** 31 - 1}`);
		const tokens = Int32Array.from(ids);
		return Dataset.#fromIds(tokens, undefined, largestOf(tokens));
	}

	static #fromIds(ids: Int32Array, tokenizer: Tokenizer | undefined, largest?: Largest): Dataset {
		if (ids.length === 0) throw new DataError('the dataset is empty; accepted: at least one token');
		return new Dataset(
			nativeCallSync(() => loadNative().datasetFromTokens(ids)),
			tokenizer,
			largest,
		);
	}
}
