// One id per Unicode character, in code point order, as nanoGPT numbers them.
import {TokenizerError} from '../errors.js';
import type {Codec} from './codec.js';

/** Offset of the first surrogate without its other half, which neither UTF-8 nor JSON can store; -1 when there is none. */
export function findLoneSurrogate(text: string): number {
	return text.search(/\p{Surrogate}/u);
}

/** The different characters of a text, in code point order. */
export function sortCharacters(text: string): string {
	const set = new CharacterSet();
	set.add(text);
	return set.toString();
}

/** Collects the different characters of texts. */
export class CharacterSet {
	readonly #seen = new Uint8Array(0x11_0000); // by code point: many times faster than a Set

	add(text: string): void {
		for (let index = 0; index < text.length; ) {
			const codePoint = text.codePointAt(index)!;
			this.#seen[codePoint] = 1;
			index += codePoint > 0xffff ? 2 : 1;
		}
	}

	/** The characters in code point order. */
	toString(): string {
		let characters = '';
		for (let codePoint = 0; codePoint < this.#seen.length; codePoint++) {
			if (this.#seen[codePoint] === 1) characters += String.fromCodePoint(codePoint);
		}

		return characters;
	}
}

/** @param characters Sorted, each once: the output of `sortCharacters`. */
export function createCharCodec(characters: string): Codec {
	const table = Array.from(characters);
	const ids = new Int32Array((table.at(-1)?.codePointAt(0) ?? 0) + 1).fill(-1); // by code point
	for (const [id, character] of table.entries()) ids[character.codePointAt(0)!] = id;

	return {
		kind: 'char',
		size: table.length,
		characters,
		encode(text) {
			const tokens = new Int32Array(text.length);
			let count = 0;
			for (let index = 0; index < text.length; count++) {
				const codePoint = text.codePointAt(index)!;
				const id = codePoint < ids.length ? ids[codePoint] : -1;
				if (id === -1) throw unknownCharacter(codePoint, count, characters, table.length);
				tokens[count] = id;
				index += codePoint > 0xffff ? 2 : 1;
			}

			return count === tokens.length ? tokens : tokens.slice(0, count);
		},
		decode(tokens) {
			let text = '';
			for (let index = 0; index < tokens.length; index++) text += table[tokens[index]];
			return text;
		},
	};
}

function unknownCharacter(codePoint: number, position: number, characters: string, size: number): TokenizerError {
	const character = JSON.stringify(String.fromCodePoint(codePoint));
	const name = `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`;
	const accepted = size <= 100 ? `: ${JSON.stringify(characters)}` : '';
	return new TokenizerError(
		`the character ${character} (${name}) at position ${position} is not among the ${size} of this tokenizer${accepted}`,
	);
}
