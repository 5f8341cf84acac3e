// The words and the sentence of the built-in stories. No word of a list may begin like another of it: see ambiguities().
import {compile, type Lists, type Word} from './template.js';
import type {Grammar} from './walk.js';

function words(text: string, forms: Readonly<Record<string, string>> = {}): readonly Word[] {
	return text.split(' ').map(word => ({text: word, weight: 1, forms}));
}

// The stories exist to show how close to their exact probability a small model gets in minutes. A window of them never
// shows what comes before it, which costs any model the logarithm of the places where the window can begin; so sentences are
// short, all words have three letters, and nothing but the opening tells one sentence of a story from another.
export const lists: Lists = {
	weathers: words('dry hot icy wet'),
	names: [
		...words('Ada Dot Eva Fay Ida Liz Meg Una', {his: 'her'}),
		...words('Ben Cal Gus Hal Jim Ned Sam Tom', {his: 'his'}),
	],
	deeds: words('fed got had hid led met saw won'),
	animals: words('ant bat cow dog elk fox gnu hen jay kid nag owl pig ram sow yak'),
};

export const grammar: Grammar = {
	opening: compile('The day was {weathers}. ', lists),
	sentence: compile('{hero=names} {deeds} {hero.his} {animals}.', lists),
	marks: [
		{text: ' ', weight: 4},
		{text: '\n', weight: 1},
	],
};
