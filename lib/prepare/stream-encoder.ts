// Encodes a text that arrives in pieces into the same tokens as if it were encoded at once.
import {DataError} from '../errors.js';
import type {Tokenizer} from '../tokenizer.js';
import {findCut} from '../tokenizers/gpt2.js';

/** Longest text without white space that is kept waiting for its end. */
const MAX_WAITING = 2 ** 26;

/** Takes pieces of UTF-8 in whole characters (any bytes for a `byte` tokenizer) and returns what tokens they complete. */
export class StreamEncoder {
	readonly #tokenizer: Tokenizer;
	#waiting = '';

	constructor(tokenizer: Tokenizer) {
		this.#tokenizer = tokenizer;
	}

	push(bytes: Buffer): ArrayLike<number> {
		if (this.#tokenizer.kind === 'byte') return bytes;
		const text = this.#waiting + bytes.toString('utf8');
		const cut = this.#tokenizer.kind === 'gpt2' ? findCut(text) : text.length;
		this.#waiting = text.slice(cut);
		if (this.#waiting.length > MAX_WAITING) {
			throw new DataError(
				`the text has ${this.#waiting.length} characters without white space; the gpt2 tokenizer takes ${MAX_WAITING}`,
			);
		}

		return this.#tokenizer.encode(text.slice(0, cut));
	}

	/** The tokens still to come when the text ends here. */
	flush(): ArrayLike<number> {
		const text = this.#waiting;
		this.#waiting = '';
		return this.#tokenizer.encode(text);
	}
}
