// How a tokenizer is stored, in `tokenizer_dllm.json` and in a dataset's `meta.json`. Imported only where files are read.
import {z} from 'zod';
import {type Blame, check} from '../config/check.js';
import {findLoneSurrogate, sortCharacters} from './char.js';

const common = {
	formatVersion: z.literal(1),
	/** Number of ids, the mask token included. */
	vocabSize: z.int().min(2),
	/** The last id. */
	maskTokenId: z.int().min(1),
};

/** The description of a tokenizer, complete: `char` carries its characters, the others are fixed by their kind. */
export const tokenizerSchema = z.discriminatedUnion('kind', [
	z.strictObject({...common, kind: z.literal('char'), characters: z.string().min(1)}),
	z.strictObject({...common, kind: z.literal('byte')}),
	z.strictObject({...common, kind: z.literal('gpt2')}),
]);

/** A tokenizer as it is stored. */
export type TokenizerDescription = Readonly<z.output<typeof tokenizerSchema>>;

/** The description in a file of its own. Throws what `fail` makes of the first thing that is wrong. */
export function parseTokenizer(value: unknown, blame: Blame): TokenizerDescription {
	const description = check(tokenizerSchema, value, blame);
	checkTokenizer(description, blame);
	return description;
}

/** What the schema cannot say: the keys of a description must agree. */
export function checkTokenizer(description: TokenizerDescription, {name, fail}: Blame): void {
	const {kind, vocabSize, maskTokenId} = description;
	let size = kind === 'byte' ? 256 : 50_257;
	if (kind === 'char') {
		const {characters} = description;
		if (findLoneSurrogate(characters) !== -1 || characters !== sortCharacters(characters)) {
			throw fail(`${name}: characters are not well-formed Unicode, each once and in code point order`);
		}

		size = Array.from(characters).length;
	}

	if (vocabSize !== size + 1)
		throw fail(`${name}: vocabSize is ${vocabSize}; accepted: ${size + 1}, for ${kind} with its mask token`);
	if (maskTokenId !== size) throw fail(`${name}: maskTokenId is ${maskTokenId}; accepted: ${size}, the last id`);
}
