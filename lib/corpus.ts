// The built-in corpus: short stories from a small probabilistic grammar, so that learning can be tried and checked offline.
import {checkKeys, checkString} from './config/arguments.js';
import {show} from './config/check.js';
import {grammar} from './corpus/grammar.js';
import {type Measure, measure} from './corpus/measure.js';
import {Random} from './corpus/random.js';
import type {Choice} from './corpus/template.js';
import {walk} from './corpus/walk.js';
import {ConfigError, DataError} from './errors.js';

/** What to generate. */
export type StoriesConfig = {
	/** An integer in [0, 2^53); the same seed gives the same text everywhere. */
	readonly seed: number;
	/** Stories are added until the text has at least this many characters, so it ends with a whole story. */
	readonly characters: number;
};

/** The exact log-probability of a text under the grammar. */
export type StoriesProbability = {
	/** Natural logarithm of the probability of these stories, in this order. */
	readonly logProbability: number;
	/** Length of the text. */
	readonly characters: number;
	/** Number of stories in it. */
	readonly stories: number;
};

/**
 * Generates stories in plain ASCII: one line each, drawn independently of each other.
 *
 * @throws {ConfigError} when seed or characters is not an integer in its range.
 */
export function generateStories(config: StoriesConfig): string {
	checkKeys('StoriesConfig', config, ['seed', 'characters'] satisfies (keyof StoriesConfig)[]);
	const {seed, characters} = config;
	if (!Number.isSafeInteger(seed) || seed < 0)
		throw new ConfigError(`seed must be an integer in [0, 2^53), got ${show(seed)}`);
	if (!Number.isSafeInteger(characters) || characters < 1) {
		throw new ConfigError(`characters must be a positive integer, got ${show(characters)}`);
	}

	const random = new Random(seed);
	const pieces: string[] = [];
	for (let length = 0; length < characters; ) {
		const {text} = generateStory(random);
		pieces.push(text);
		length += text.length;
	}

	return pieces.join('');
}

/** Draws one story; `logProbability` is the sum over the choices made, in nats. */
export function generateStory(random: Random): {readonly text: string; readonly logProbability: number} {
	let text = '';
	const logProbability = walk(grammar, {
		text(piece) {
			text += piece;
		},
		choose(choices, total) {
			let index = 0;
			for (let draw = random.below(total); draw >= choices[index].weight; index++) draw -= choices[index].weight;
			return index;
		},
	});
	return {text, logProbability};
}

/**
 * Reads a text made of whole stories and returns its exact log-probability. No text can be derived in two ways, so
 * the choices read are the choices that were made.
 *
 * @throws {DataError} naming the position from which the text cannot be derived; also when a story is cut off.
 */
export function logProbability(text: string): StoriesProbability {
	checkString('the text', text);
	let position = 0;
	let total = 0;
	let stories = 0;
	const reader = {
		text(piece: string) {
			if (!text.startsWith(piece, position)) throw notDerivable(text, position, JSON.stringify(piece));
			position += piece.length;
		},
		choose(choices: readonly Choice[]) {
			const index = choices.findIndex(choice => text.startsWith(choice.text, position));
			if (index === -1) throw notDerivable(text, position, `one of ${choices.length} ways to go on`);
			return index;
		},
	};
	for (; position < text.length; stories++) total += walk(grammar, reader);
	return {logProbability: total, characters: text.length, stories};
}

/** Cuts a text of whole stories in two, each of whole stories: the first has `share` of the characters, or a little less. */
export function splitStories(text: string, share: number): [string, string] {
	const [, end] = grammar.marks;
	const cut = text.lastIndexOf(end.text, Math.floor(share * text.length) - 1) + end.text.length;
	return [text.slice(0, cut), text.slice(cut)];
}

/**
 * Expected values over one story. `entropy / characters` (nats per character) is the entropy rate h of the corpus, and the
 * best any model can do: a window of T characters cut at a random place carries at least h·T nats on average, because a
 * window does not show what went before it, and (H(window) - h·T)/T shrinks like 1/T as T grows. The diffusion bound of
 * a perfect model on such windows is H(window)/T, so a held-out bound below h means that a model sees its answers.
 */
export function storyMeasure(): Measure {
	return measure(grammar);
}

function notDerivable(text: string, position: number, expected: string): DataError {
	const found = position < text.length ? JSON.stringify(text.slice(position, position + 24)) : 'the end of the text';
	return new DataError(`not a text of whole stories: at character ${position} expected ${expected}, found ${found}`);
}
