// Exact properties of a story grammar: its entropy, its expected length, and whether it can be parsed left to right.
import type {Node, Word} from './compile.js';
import {formOf} from './walk.js';

/** Expected values over one story. */
export type Measure = {
	/** Expected -log probability, in nats. */
	readonly entropy: number;
	/** Expected length, in characters. */
	readonly characters: number;
};

type Slots = ReadonlyMap<string, ReadonlyMap<Word, number>>;

/**
 * Sums the entropy of every choice and the length of every piece, each times the probability of reaching it. That is exact
 * because choices are drawn independently: what is reached later never depends on the word a slot holds.
 */
export function measure(story: Node): Measure {
	return measureNode(story, new Map()).measure;
}

function measureNode(node: Node, slots: Slots): {measure: Measure; slots: Slots} {
	if (node.kind === 'text') return {measure: {entropy: 0, characters: node.text.length}, slots};
	if (node.kind === 'reference') {
		const words = slots.get(node.slot) ?? new Map<Word, number>();
		if (Math.abs(sum(words.values()) - 1) > 1e-9)
			throw new Error(`{${node.slot}} is not bound on every way to its use`);
		const characters = sum([...words].map(([word, probability]) => probability * formOf(word, node.form).length));
		return {measure: {entropy: 0, characters}, slots};
	}

	if (node.kind === 'word') {
		const words = new Map(node.words.map(word => [word, word.weight / node.total]));
		const entropy = sum([...words.values()].map(probability => -probability * Math.log(probability)));
		const characters = sum([...words].map(([word, probability]) => probability * word.text.length));
		return {
			measure: {entropy, characters},
			slots: node.slot === undefined ? slots : new Map(slots).set(node.slot, words),
		};
	}

	const ways = node.options.map(option => {
		const way = measureSequence(option.nodes, slots);
		return {...way, probability: option.weight / node.total};
	});
	return {
		measure: {
			entropy: sum(ways.map(({probability, measure}) => probability * (measure.entropy - Math.log(probability)))),
			characters: sum(ways.map(({probability, measure}) => probability * measure.characters)),
		},
		slots: mix(ways),
	};
}

function measureSequence(nodes: readonly Node[], slots: Slots): {measure: Measure; slots: Slots} {
	let entropy = 0;
	let characters = 0;
	let current = slots;
	for (const node of nodes) {
		const part = measureNode(node, current);
		entropy += part.measure.entropy;
		characters += part.measure.characters;
		current = part.slots;
	}

	return {measure: {entropy, characters}, slots: current};
}

function mix(ways: readonly {readonly slots: Slots; readonly probability: number}[]): Slots {
	const mixed = new Map<string, Map<Word, number>>();
	for (const way of ways) {
		for (const [slot, words] of way.slots) {
			const target = mixed.get(slot) ?? new Map<Word, number>();
			for (const [word, probability] of words)
				target.set(word, (target.get(word) ?? 0) + way.probability * probability);
			mixed.set(slot, target);
		}
	}

	return mixed;
}

/**
 * Pairs of alternatives of one choice of which one can begin like the other. When there are none, each choice is decided
 * by the text at its own position: every text has at most one parse, found without looking back.
 */
export function ambiguities(story: Node): string[] {
	const bound = new Map<string, Set<Word>>();
	const choices = new Set<Node>();
	collect(story, bound, choices);
	const found: string[] = [];
	for (const node of choices) {
		const openings =
			node.kind === 'choice'
				? node.options.map(option => openingsOf(option.nodes[0], bound))
				: node.kind === 'word'
					? node.words.map(word => [word.text])
					: [];
		openings.forEach((left, index) => {
			for (const right of openings.slice(index + 1)) {
				for (const first of left) {
					for (const second of right) {
						if (first.startsWith(second) || second.startsWith(first)) found.push(`"${first}" and "${second}"`);
					}
				}
			}
		});
	}

	return found;
}

function collect(node: Node, bound: Map<string, Set<Word>>, choices: Set<Node>): void {
	if (choices.has(node)) return;
	if (node.kind === 'word' || node.kind === 'choice') choices.add(node);
	if (node.kind === 'word' && node.slot !== undefined) {
		bound.set(node.slot, new Set([...(bound.get(node.slot) ?? []), ...node.words]));
	}

	if (node.kind === 'choice') {
		for (const child of node.options.flatMap(option => option.nodes)) collect(child, bound, choices);
	}
}

function openingsOf(node: Node, bound: ReadonlyMap<string, ReadonlySet<Word>>): string[] {
	if (node.kind === 'text') return [node.text];
	if (node.kind === 'word') return node.words.map(word => word.text);
	if (node.kind === 'reference') return [...(bound.get(node.slot) ?? [])].map(word => formOf(word, node.form));
	return node.options.flatMap(option => openingsOf(option.nodes[0], bound));
}

function sum(values: Iterable<number>): number {
	let total = 0;
	for (const value of values) total += value;
	return total;
}
