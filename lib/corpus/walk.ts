// The one walk over the story grammar: generating draws each choice, parsing reads it off the text.
import type {Choice, Piece, Word} from './template.js';

/** A story is the opening and one sentence after the other; after each comes one of the marks. */
export type Grammar = {
	readonly opening: readonly Piece[];
	readonly sentence: readonly Piece[];
	/** Between the sentences of a story, and behind its last one. */
	readonly marks: readonly [next: Choice, end: Choice];
};

/** What is done with the text on the way and how a choice is made. */
export type Visitor = {
	/** Takes the next piece of the story. */
	text(piece: string): void;
	/** Index of the choice to take; its text comes next. */
	choose(choices: readonly Choice[], total: number): number;
};

/** Walks one story and returns the log-probability (nats) of the choices made. */
export function walk(grammar: Grammar, visitor: Visitor): number {
	let logProbability = 0;

	function pick<T extends Choice>(choices: readonly T[]): T {
		const total = totalWeight(choices);
		const choice = choices[visitor.choose(choices, total)];
		logProbability += Math.log(choice.weight / total);
		visitor.text(choice.text);
		return choice;
	}

	function visit(pieces: readonly Piece[]): void {
		const slots = new Map<string, Word>();
		for (const piece of pieces) {
			if (piece.kind === 'text') {
				visitor.text(piece.text);
			} else if (piece.kind === 'form') {
				visitor.text(slots.get(piece.slot)!.forms[piece.form]);
			} else {
				const word = pick(piece.words);
				if (piece.slot !== undefined) slots.set(piece.slot, word);
			}
		}
	}

	visit(grammar.opening);
	const [next] = grammar.marks;
	do visit(grammar.sentence);
	while (pick(grammar.marks) === next);
	return logProbability;
}

export function totalWeight(choices: readonly Choice[]): number {
	return choices.reduce((sum, {weight}) => sum + weight, 0);
}
