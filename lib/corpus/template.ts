// Turns a sentence template of grammar.ts into pieces that can be generated, parsed and measured.

/** One way a choice can go; its probability is its weight over the sum of the weights. */
export type Choice = {
	readonly text: string;
	readonly weight: number;
};

/** A word that can be chosen, and what agrees with it: `{hero.his}` is the form `his` of the word bound to `hero`. */
export type Word = Choice & {readonly forms: Readonly<Record<string, string>>};

export type Piece =
	| {readonly kind: 'text'; readonly text: string}
	| {readonly kind: 'word'; readonly words: readonly Word[]; readonly slot: string | undefined}
	| {readonly kind: 'form'; readonly words: readonly Word[]; readonly slot: string; readonly form: string};

export type Lists = Readonly<Record<string, readonly Word[]>>;

/**
 * Inside braces stands a list (`{animals}`: one of its words), a list bound to a slot (`{hero=names}`), or a form of the word
 * in a slot bound earlier (`{hero.his}`).
 */
export function compile(template: string, lists: Lists): readonly Piece[] {
	const bound = new Map<string, readonly Word[]>();
	return template
		.split(/(\{[^}]*\})/)
		.filter(part => part !== '')
		.map((part): Piece => {
			if (!part.startsWith('{')) return {kind: 'text', text: part};
			const [left = '', right] = part.slice(1, -1).split('=');
			const [slot = '', form] = left.split('.');
			if (form === undefined) {
				const words = lists[right ?? left];
				if (!words) throw new Error(`the grammar has no list "${right ?? left}"`);
				if (right !== undefined) bound.set(left, words);
				return {kind: 'word', words, slot: right === undefined ? undefined : left};
			}

			const words = bound.get(slot);
			if (!words) throw new Error(`{${left}}: the slot "${slot}" is not bound before its use`);
			const without = words.find(word => word.forms[form] === undefined);
			if (without) throw new Error(`{${left}}: the word "${without.text}" has no form "${form}"`);
			return {kind: 'form', words, slot, form};
		});
}
