// What every kind of tokenizer provides; the Tokenizer class adds the mask token, checks and files.

/** The kinds of tokenizers this package can write. */
export const tokenizerKinds = ['char', 'byte', 'gpt2'] as const;
export type TokenizerKind = (typeof tokenizerKinds)[number];

/** Text to ids and back, without the mask token. */
export type Codec = {
	readonly kind: TokenizerKind;
	/** Number of ids, the mask token not counted: ids are 0 … size − 1 and the mask token is `size`. */
	readonly size: number;
	/** Id that ends a document, where the kind has one. */
	readonly eosTokenId?: number;
	/** The characters in the order of their ids; only the `char` kind has them. */
	readonly characters?: string;
	/** `text` is well-formed: it has no lone surrogates. */
	encode(text: string): Int32Array;
	/** `tokens` are all in [0, size). Bytes that are not UTF-8 become U+FFFD. */
	decode(tokens: ArrayLike<number>): string;
};
