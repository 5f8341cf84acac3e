// Exact properties of a story grammar: its entropy, its expected length, and whether it can be parsed left to right.
import type {Choice, Piece} from './template.js';
import {type Grammar, totalWeight} from './walk.js';

/** Expected values over one story. */
export type Measure = {
	/** Expected -log probability, in nats. */
	readonly entropy: number;
	/** Expected length, in characters. */
	readonly characters: number;
};

/**
 * Sums the entropy of every choice and the length of every piece. That is exact because choices are drawn independently, and
 * the number of sentences, one more with the same probability after each, has the mean 1 / P(end).
 */
export function measure({opening, sentence, marks}: Grammar): Measure {
	const [, end] = marks;
	const sentences = totalWeight(marks) / end.weight;
	const begun = measureAll(opening.map(measurePiece));
	const each = measureAll([...sentence.map(measurePiece), measureChoices(marks)]);
	return {
		entropy: begun.entropy + sentences * each.entropy,
		characters: begun.characters + sentences * each.characters,
	};
}

function measureAll(parts: readonly Measure[]): Measure {
	return {entropy: sum(parts.map(({entropy}) => entropy)), characters: sum(parts.map(({characters}) => characters))};
}

function measurePiece(piece: Piece): Measure {
	if (piece.kind === 'text') return {entropy: 0, characters: piece.text.length};
	if (piece.kind === 'word') return measureChoices(piece.words);
	const forms = piece.words.map(({forms, weight}) => ({text: forms[piece.form], weight}));
	return {entropy: 0, characters: measureChoices(forms).characters}; // decided by the word in the slot
}

function measureChoices(choices: readonly Choice[]): Measure {
	const total = totalWeight(choices);
	return {
		entropy: sum(choices.map(({weight}) => (weight / total) * Math.log(total / weight))),
		characters: sum(choices.map(({weight, text}) => (weight / total) * text.length)),
	};
}

/**
 * Pairs of alternatives of one choice of which one can begin like the other. When there are none, each choice is decided
 * by the text at its own position: every text has at most one parse, found without looking back.
 */
export function ambiguities({opening, sentence, marks}: Grammar): string[] {
	const choices = [marks, ...[...opening, ...sentence].map(piece => (piece.kind === 'word' ? piece.words : []))];
	return choices.flatMap(alternatives =>
		alternatives.flatMap(({text: left}, index) =>
			alternatives
				.slice(index + 1)
				.filter(({text: right}) => left.startsWith(right) || right.startsWith(left))
				.map(({text: right}) => `"${left}" and "${right}"`),
		),
	);
}

function sum(values: readonly number[]): number {
	return values.reduce((total, value) => total + value, 0);
}
