// Whether the ids of a dataset mean what they mean to a model.
import {isDeepStrictEqual} from 'node:util';
import {show} from './config/check.js';
import type {ResolvedModelConfig} from './config.js';
import {DataError} from './errors.js';
import type {Tokenizer} from './tokenizer.js';

/** The part of a Model that decides which ids it takes. */
export type VocabularyOwner = {
	readonly config: Pick<ResolvedModelConfig, 'vocabSize'>;
	readonly tokenizer: Tokenizer | undefined;
};

/** An id and its place in a list. */
export type Largest = {readonly id: number; readonly place: number};

export function largestOf(ids: Int32Array): Largest {
	let place = 0;
	for (let index = 1; index < ids.length; index++) if (ids[index]! > ids[place]!) place = index;
	return {id: ids[place]!, place};
}

/** @throws DataError naming the largest id when the model has no such id. */
export function checkLargest({id, place}: Largest, {config: {vocabSize}}: VocabularyOwner): void {
	if (id < vocabSize) return;
	throw new DataError(
		`the dataset's largest token is ${id}, at place ${place}; the model's vocabulary accepts 0 to ${vocabSize - 1}`,
	);
}

/** @throws DataError naming both when the model was made for another tokenizer, or for fewer ids. */
export function checkTokenizer(tokenizer: Tokenizer, {config: {vocabSize}, tokenizer: own}: VocabularyOwner): void {
	if (own !== undefined && own !== tokenizer && !isDeepStrictEqual(own.description, tokenizer.description)) {
		throw new DataError(
			`the dataset was encoded with ${describe(tokenizer)}, but the model's is ${describe(own)}; accepted: the model's own${differences(tokenizer, own)}`,
		);
	}

	if (tokenizer.vocabSize > vocabSize) {
		throw new DataError(
			`the dataset was encoded with ${describe(tokenizer)}, but the model's vocabulary has ${vocabSize} ids; accepted: at least as many as the tokenizer's`,
		);
	}
}

function describe({kind, vocabSize}: Tokenizer): string {
	return `a ${kind} tokenizer of ${vocabSize} ids`;
}

/** The characters that make two char tokenizers different. */
function differences({description: data}: Tokenizer, {description: model}: Tokenizer): string {
	if (data.kind !== 'char' || model.kind !== 'char') return '';
	const only = (some: string, others: string) => {
		const known = new Set(others);
		return show([...some].filter(character => !known.has(character)).join(''));
	};
	return ` (characters of the dataset alone: ${only(data.characters, model.characters)}, of the model alone: ${only(model.characters, data.characters)})`;
}
