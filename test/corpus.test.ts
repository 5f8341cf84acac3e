// The built-in stories: the same text everywhere, one parse per text, and an entropy that is known exactly.
import test from 'ava';
import fc from 'fast-check';
import {compile, type Node} from '../lib/corpus/compile.js';
import {lists, rules} from '../lib/corpus/grammar.js';
import {ambiguities, measure} from '../lib/corpus/measure.js';
import {Random} from '../lib/corpus/random.js';
import {walk} from '../lib/corpus/walk.js';
import {generateStories, generateStory, logProbability, storyMeasure} from '../lib/corpus.js';
import {fails} from './support/expect.js';

const grammar = compile(rules, lists);

/** The indices of the choices that generating a story made. */
function drawChoices(seed: number): {text: string; choices: number[]; logProbability: number} {
	const random = new Random(seed);
	const choices: number[] = [];
	let text = '';
	const logProbability = walk(grammar, {
		text(piece) {
			text += piece;
		},
		choose(weights, total) {
			const draw = random.below(total);
			let sum = 0;
			const index = weights.findIndex(({weight}) => {
				sum += weight;
				return draw < sum;
			});
			choices.push(index);
			return index;
		},
		startsWith: () => false,
	});
	return {text, choices, logProbability};
}

/** All choices that the text admits, at each place where there is one. */
function readChoices(text: string): number[][] {
	const admitted: number[][] = [];
	let position = 0;
	walk(grammar, {
		text(piece) {
			position += piece.length;
		},
		choose(weights, _total, begins) {
			admitted.push([...weights.keys()].filter(begins));
			return admitted.at(-1)![0];
		},
		startsWith: piece => text.startsWith(piece, position),
	});
	return admitted;
}

function choicesOf(node: Node, found = new Set<Node>()): Set<Node> {
	if (found.has(node) || node.kind === 'text' || node.kind === 'reference') return found;
	found.add(node);
	if (node.kind === 'choice') for (const child of node.options.flatMap(({nodes}) => nodes)) choicesOf(child, found);
	return found;
}

test('is the same text for the same seed, on every machine', t => {
	t.is(generateStories({seed: 1, characters: 1}), generateStories({seed: 1, characters: 1}));
	t.not(generateStories({seed: 1, characters: 1}), generateStories({seed: 2, characters: 1}));
	const random = new Random(2 ** 40 + 7);
	t.deepEqual([random.next(), random.next()], [251_473_621, 3_987_187_133]); // computed in exact integers
	t.is(
		generateStories({seed: 0, characters: 1}),
		'Will, a good boy, dozed under the cold park. A timid gold mole hopped by and ate corn, corn and eggs. ' +
			'The mole wanted a thin navy wig from the big attic. Will sang in a sandy ditch and got the wig, eggs and figs. ' +
			'The mole gave him limes, limes and a good ruby saw.\n\n',
	);
});

test('is plain text of whole stories, a little longer than asked for', t => {
	const text = generateStories({seed: 3, characters: 100_000});
	t.true(text.length >= 100_000 && text.length < 101_000);
	t.true(text.endsWith('.\n\n') || text.endsWith('"\n\n'));
	const characters = new Set(text);
	t.true(characters.size >= 30 && characters.size <= 60, `${characters.size} different characters`);
	t.deepEqual(text.match(/\ba [aeiou]\w*/gi), null, 'articles fit the words after them');
	t.is(text.search(/[^\n -~]/), -1);
});

test('draws uniformly below any bound', t => {
	const counts = new Array(7).fill(0);
	const random = new Random(5);
	for (let draw = 0; draw < 70_000; draw++) counts[random.below(7)]++;
	for (const count of counts) t.true(Math.abs(count - 10_000) < 5 * Math.sqrt(10_000 * (6 / 7)), `${counts}`);
});

test('no choice can be mistaken for another one', t => {
	t.deepEqual(ambiguities(grammar), []);
	const spoiled = compile({story: ['{#a}'], a: ['one {x}', 'on{x}e']}, {x: [{text: 'x', weight: 1, forms: {}}]});
	t.deepEqual(ambiguities(spoiled), ['"one " and "on"']);
});

test('the probabilities of every choice sum to 1', t => {
	for (const node of choicesOf(grammar)) {
		if (node.kind !== 'word' && node.kind !== 'choice') continue;
		const choices: readonly {readonly weight: number}[] = node.kind === 'word' ? node.words : node.options;
		t.is(
			choices.reduce((sum, {weight}) => sum + weight, 0),
			node.total,
		);
		t.true(choices.every(({weight}) => Number.isInteger(weight) && weight > 0));
	}
});

test('parsing finds exactly the choices that were made, and no others', t => {
	fc.assert(
		fc.property(fc.maxSafeNat(), seed => {
			const story = drawChoices(seed);
			t.deepEqual(
				readChoices(story.text),
				story.choices.map(choice => [choice]),
			);
			t.is(logProbability(story.text).logProbability, story.logProbability);
		}),
		{numRuns: 300},
	);
});

test('the log-probability of a text is that of its stories', t => {
	const random = new Random(11);
	const stories = Array.from({length: 50}, () => generateStory(random));
	const text = stories.map(story => story.text).join('');
	const expected = stories.reduce((sum, story) => sum + story.logProbability, 0);
	t.deepEqual(logProbability(text), {logProbability: expected, characters: text.length, stories: 50});
	t.is(logProbability('').stories, 0);
});

test('the entropy of the grammar is what its texts show', t => {
	const count = 20_000;
	const random = new Random(17);
	const {entropy, characters} = storyMeasure();
	const sums = {surprise: 0, surpriseSquare: 0, length: 0, lengthSquare: 0};
	for (let story = 0; story < count; story++) {
		const {text, logProbability} = generateStory(random);
		sums.surprise -= logProbability;
		sums.surpriseSquare += logProbability ** 2;
		sums.length += text.length;
		sums.lengthSquare += text.length ** 2;
	}

	const within = (expected: number, sum: number, squares: number) => {
		const mean = sum / count;
		const error = Math.sqrt((squares / count - mean ** 2) / count);
		t.true(Math.abs(mean - expected) < 5 * error, `${mean} is not ${expected} ± ${error}`);
		t.true(error < 0.01 * expected);
	};
	within(entropy, sums.surprise, sums.surpriseSquare);
	within(characters, sums.length, sums.lengthSquare);
	t.true(entropy / characters > 0.35 && entropy / characters < 1, `${entropy / characters} nats per character`);
});

test('measures a grammar that can be worked out by hand', t => {
	const forms = {plural: 'xs'};
	const words = [
		{text: 'x', weight: 1, forms},
		{text: 'yyyy', weight: 3, forms: {plural: 'ys'}},
	];
	const small = compile({story: [[3, '{s=words}-{s}{s.plural}'], 'end']}, {words});
	const choice = Math.log(4) - (3 / 4) * Math.log(3); // 3 : 1, of the rule and of the word
	const {entropy, characters} = measure(small);
	t.true(Math.abs(entropy - (choice + (3 / 4) * choice)) < 1e-12);
	t.is(characters, (3 / 4) * (2 * (1 / 4 + 4 * (3 / 4)) + 1 + 2) + 3 / 4);
	t.throws(() => measure(compile({story: ['{#a}{s}'], a: ['{s=words}', 'none']}, {words})), {message: /not bound/});
});

test('refuses a text that is not made of whole stories, naming the place', t => {
	const [story] = generateStories({seed: 4, characters: 1}).split('\n\n');
	fails(t, () => logProbability('To be, or not to be'), {
		code: 'ERR_DATA',
		message: /at character 0 .*found "To be, or not to be"/,
	});
	fails(t, () => logProbability(story), {
		code: 'ERR_DATA',
		message: new RegExp(`at character ${story.length} .*the end of the text`),
	});
	fails(t, () => logProbability(`${story}\n\n\n`), {
		code: 'ERR_DATA',
		message: new RegExp(`at character ${story.length + 2} `),
	});
	fc.assert(
		fc.property(fc.nat(story.length - 1), fc.constantFrom('#', '0', '_'), (place, wrong) => {
			const text = `${story.slice(0, place)}${wrong}${story.slice(place + 1)}\n\n`;
			const error = t.throws(() => logProbability(text))!;
			const position = Number(/at character (\d+)/.exec(error.message)![1]);
			t.true(position <= place, `${position} is behind the mistake at ${place}`);
			t.true(story.startsWith(text.slice(0, position)));
		}),
	);
});

test('refuses seeds and lengths that are not whole numbers in range', t => {
	for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) {
		fails(t, () => generateStories({seed, characters: 10}), {code: 'ERR_CONFIG', message: /seed must be an integer/});
	}

	for (const characters of [0, -5, 1.5]) {
		fails(t, () => generateStories({seed: 0, characters}), {
			code: 'ERR_CONFIG',
			message: /characters must be a positive/,
		});
	}
});

test('reports mistakes in a grammar', t => {
	t.throws(() => compile({story: ['{#none}']}, {}), {message: /no rule "none"/});
	t.throws(() => compile({story: ['{#story}']}, {}), {message: /contains itself/});
	t.throws(() => compile({story: ['{a=none}']}, {}), {message: /no list "none"/});
	t.throws(() => compile({story: ['']}, {}), {message: /empty alternative/});
});
