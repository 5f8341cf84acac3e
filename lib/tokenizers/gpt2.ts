// GPT-2's byte pair encoding, on the rank table of gpt-tokenizer.
//
// Only the table is used. The library's own functions take quadratic time in the length of one word, overflow the stack
// on a word of about 10^5 tokens, split at U+FEFF and U+0085 other than the published tokenizer, and carry an
// unfinished character from one decode() to the next.

import {decodeUtf8} from './byte.js';
import type {Codec} from './codec.js';
import {mergePairs} from './merge-pairs.js';

/** Contractions, then words with one space before them, numbers, punctuation, and white space. */
const pieces =
	/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Words of more tokens are not remembered. */
const MAX_CACHED_LENGTH = 64;
const MAX_CACHED_WORDS = 100_000;

/** Loads the rank table (about 50 ms). The end of a document is id 50256, `<|endoftext|>`, which no text encodes to. */
export async function createGpt2Codec(): Promise<Codec> {
	const {default: ranks} = await import('gpt-tokenizer/bpeRanks/r50k_base');
	const words = ranks.map(word => (typeof word === 'string' ? Buffer.from(word, 'utf8') : Uint8Array.from(word)));
	words.push(Buffer.from('<|endoftext|>'));
	const eosTokenId = words.length - 1;
	const ids = new Map(words.slice(0, eosTokenId).map((word, id) => [toLatin1(word), id]));
	const cache = new Map<string, readonly number[]>();

	function encodePiece(bytes: string): readonly number[] {
		const known = cache.get(bytes);
		if (known) return known;
		const tokens = mergePairs(bytes, ids);
		if (bytes.length <= MAX_CACHED_LENGTH) {
			if (cache.size === MAX_CACHED_WORDS) cache.clear();
			cache.set(bytes, tokens);
		}

		return tokens;
	}

	return {
		kind: 'gpt2',
		size: words.length,
		eosTokenId,
		encode(text) {
			let tokens = new Int32Array(Math.max(16, text.length >> 1));
			let count = 0;
			function push(id: number): void {
				if (count === tokens.length) {
					const larger = new Int32Array(2 * count);
					larger.set(tokens);
					tokens = larger;
				}

				tokens[count++] = id;
			}

			for (const [piece] of text.matchAll(pieces)) {
				const bytes = isAscii(piece) ? piece : toLatin1(Buffer.from(piece, 'utf8'));
				const id = ids.get(bytes);
				if (id === undefined) encodePiece(bytes).forEach(push);
				else push(id);
			}

			return tokens.slice(0, count);
		},
		decode(tokens) {
			const parts: Uint8Array[] = [];
			for (let index = 0; index < tokens.length; index++) parts.push(words[tokens[index]]);
			return decodeUtf8(Buffer.concat(parts));
		},
	};
}

/**
 * The largest offset at which a text can be cut without changing its tokens, whatever follows it; 0 when there is none.
 * A piece never runs from a character that is not white space into white space.
 */
export function findCut(text: string): number {
	for (let offset = text.length - 1; offset > 0; offset--) {
		if (isSpace(text[offset]) && !isSpace(text[offset - 1])) return offset;
	}

	return 0;
}

function isSpace(character: string): boolean {
	return /\p{White_Space}/u.test(character);
}

function isAscii(text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		if (text.charCodeAt(index) > 0x7f) return false;
	}

	return true;
}

/** Bytes as a string of characters U+0000 … U+00FF, which can be the key of a map. */
function toLatin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
