// The one walk over the story grammar: generating draws each choice, parsing reads it off the text.
import type {Node, Word} from './compile.js';

/** What is done with the text on the way and how a choice is made. */
export type Visitor = {
	/** Takes the next piece of the story. */
	text(piece: string): void;
	/** Index of the way to go; `begins(index)` says whether the text ahead, as `startsWith` sees it, goes that way. */
	choose(weights: readonly {readonly weight: number}[], total: number, begins: (index: number) => boolean): number;
	/** Whether the text ahead starts with a piece; used only by `begins`. */
	startsWith(piece: string): boolean;
};

/** Walks one story and returns the log-probability (nats) of the choices made. */
export function walk(story: Node, visitor: Visitor): number {
	const slots = new Map<string, Word>();
	let logProbability = 0;

	function visit(node: Node): void {
		if (node.kind === 'text') {
			visitor.text(node.text);
		} else if (node.kind === 'reference') {
			visitor.text(referenceText(node, slots));
		} else if (node.kind === 'word') {
			const word = pick(node.words, node.total, choice => visitor.startsWith(choice.text));
			if (node.slot !== undefined) slots.set(node.slot, word);
			visitor.text(word.text);
		} else {
			for (const child of pick(node.options, node.total, option => begins(option.nodes[0])).nodes) visit(child);
		}
	}

	function pick<Choice extends {readonly weight: number}>(
		choices: readonly Choice[],
		total: number,
		isAhead: (choice: Choice) => boolean,
	): Choice {
		const choice = choices[visitor.choose(choices, total, index => isAhead(choices[index]))];
		logProbability += Math.log(choice.weight / total);
		return choice;
	}

	function begins(node: Node): boolean {
		if (node.kind === 'text') return visitor.startsWith(node.text);
		if (node.kind === 'reference') return visitor.startsWith(referenceText(node, slots));
		if (node.kind === 'word') return node.words.some(word => visitor.startsWith(word.text));
		return node.options.some(option => begins(option.nodes[0]));
	}

	visit(story);
	return logProbability;
}

/** The text of a word in the form a reference asks for. */
export function formOf(word: Word, form: string | undefined): string {
	const text = form === undefined ? word.text : word.forms[form];
	if (text === undefined) throw new Error(`the word "${word.text}" has no form "${form}"`);
	return text;
}

function referenceText(node: Node & {kind: 'reference'}, slots: ReadonlyMap<string, Word>): string {
	const word = slots.get(node.slot);
	if (!word) throw new Error(`the grammar uses {${node.slot}} before it is bound`);
	return formOf(word, node.form);
}
