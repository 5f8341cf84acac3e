// Turns the story templates of grammar.ts into a tree of choices that can be generated from, parsed and measured.

/** A word that can be chosen, and its other forms: `{hero.his}` is the form `his` of the word bound to `hero`. */
export type Word = {
	readonly text: string;
	readonly weight: number;
	readonly forms: Readonly<Record<string, string>>;
};

/** One way a choice can go. */
export type Option = {
	readonly weight: number;
	readonly nodes: readonly Node[];
};

export type Node =
	| {readonly kind: 'text'; readonly text: string}
	| {readonly kind: 'word'; readonly total: number; readonly words: readonly Word[]; readonly slot: string | undefined}
	| {readonly kind: 'reference'; readonly slot: string; readonly form: string | undefined}
	| {readonly kind: 'choice'; readonly total: number; readonly options: readonly Option[]};

/** Templates by rule name; an alternative is a template, or `[weight, template]`. The rule `story` is the start. */
export type Rules = Readonly<Record<string, readonly (string | readonly [number, string])[]>>;

/**
 * Compiles rules to a tree. Inside braces stands a list (`{places}`: one of its words), a list bound to a slot
 * (`{place=places}`), a slot bound earlier (`{place}`, `{hero.his}`) or a rule (`{#ending}`).
 */
export function compile(rules: Rules, lists: Readonly<Record<string, readonly Word[]>>): Node {
	const compiled = new Map<string, Node>();
	const open = new Set<string>();

	function compileRule(name: string): Node {
		const known = compiled.get(name);
		if (known) return known;
		const alternatives = rules[name];
		if (!alternatives) throw new Error(`the grammar has no rule "${name}"`);
		if (open.has(name)) throw new Error(`the rule "${name}" contains itself`);
		open.add(name);
		const options = alternatives.map(alternative => {
			const [weight, template] = typeof alternative === 'string' ? [1, alternative] : alternative;
			if (template === '') throw new Error(`the rule "${name}" has an empty alternative`);
			return {weight, nodes: compileTemplate(template)};
		});
		open.delete(name);
		const node: Node = {kind: 'choice', total: sumWeights(options), options};
		compiled.set(name, node);
		return node;
	}

	function compileTemplate(template: string): Node[] {
		return template
			.split(/(\{[^}]*\})/)
			.filter(part => part !== '')
			.map(part => (part.startsWith('{') ? compileBraces(part.slice(1, -1)) : {kind: 'text', text: part}));
	}

	function compileBraces(content: string): Node {
		if (content.startsWith('#')) return compileRule(content.slice(1));
		const [left = '', right] = content.split('=');
		const words = lists[right ?? left];
		if (words) return {kind: 'word', total: sumWeights(words), words, slot: right === undefined ? undefined : left};
		if (right !== undefined) throw new Error(`the grammar has no list "${right}"`);
		const [slot = '', form] = content.split('.');
		return {kind: 'reference', slot, form};
	}

	return compileRule('story');
}

function sumWeights(options: readonly {readonly weight: number}[]): number {
	return options.reduce((sum, option) => sum + option.weight, 0);
}
