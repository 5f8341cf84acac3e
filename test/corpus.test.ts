// The built-in stories: the same text everywhere, one parse per text, and an entropy that is known exactly.
import {createHash} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {grammar, lists} from '../lib/corpus/grammar.js';
import {ambiguities, measure} from '../lib/corpus/measure.js';
import {Random} from '../lib/corpus/random.js';
import {compile, type Word} from '../lib/corpus/template.js';
import {type Grammar, totalWeight, walk} from '../lib/corpus/walk.js';
import {generateStories, generateStory, logProbability, splitStories, storyMeasure} from '../lib/corpus.js';
import {parseLines, runCli, tinyFlags} from './support/cli.js';
import {fails} from './support/expect.js';
import {temporaryFolder} from './support/folders.js';

/** The indices of the choices that generating a story made. */
function drawChoices(seed: number): {text: string; choices: number[]; logProbability: number} {
	const random = new Random(seed);
	const choices: number[] = [];
	let text = '';
	const logProbability = walk(grammar, {
		text(piece) {
			text += piece;
		},
		choose(alternatives, total) {
			const draw = random.below(total);
			let sum = 0;
			const index = alternatives.findIndex(({weight}) => {
				sum += weight;
				return draw < sum;
			});
			choices.push(index);
			return index;
		},
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
		choose(alternatives) {
			admitted.push([...alternatives.keys()].filter(index => text.startsWith(alternatives[index].text, position)));
			return admitted.at(-1)![0];
		},
	});
	return admitted;
}

/** Says by how much the mean of many values misses what is expected, when that is more than 5 standard errors. */
function meanMiss(expected: number, values: readonly number[]): string | undefined {
	const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
	const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
	const error = Math.sqrt(variance / values.length);
	return Math.abs(mean - expected) < 5 * error ? undefined : `${mean} is not ${expected} ± ${error}`;
}

test('is the same text for the same seed, on every machine', t => {
	t.is(generateStories({seed: 1, characters: 1}), generateStories({seed: 1, characters: 1}));
	t.not(generateStories({seed: 1, characters: 1}), generateStories({seed: 2, characters: 1}));
	const random = new Random(2 ** 40 + 7);
	t.deepEqual([random.next(), random.next()], [251_473_621, 3_987_187_133]); // computed in exact integers
	t.is(
		generateStories({seed: 0, characters: 100}),
		'The day was dry. Ida got her owl.\n' +
			'The day was icy. Cal hid his ant. Jim got his sow. Cal won his nag. Ada met her fox. Ada got her ant. ' +
			'Ben had his jay. Cal won his elk. Tom met his dog. Sam met his pig. Ada won her jay. Jim had his nag.\n',
	);
});

test('is plain text of whole stories, a little longer than asked for', t => {
	const text = generateStories({seed: 3, characters: 100_000});
	t.true(text.length >= 100_000 && text.length < 102_000);
	t.regex(text, /^(The day was \w{3}\.( [A-Z]\w\w \w{3} h(is|er) \w{3}\.)+\n)*$/);
	const characters = new Set(text);
	t.true(characters.size >= 30 && characters.size <= 60, `${characters.size} different characters`);
	t.is(text.search(/[^\n -~]/), -1);
	t.deepEqual(
		text.match(/\b(Ada|Liz|Meg) \w+ his\b|\b(Ben|Gus|Tom) \w+ her\b/g),
		null,
		'his and her agree with the name',
	);
});

test('draws uniformly below any bound', t => {
	const counts = new Array(7).fill(0);
	const random = new Random(5);
	for (let draw = 0; draw < 70_000; draw++) counts[random.below(7)]++;
	for (const count of counts) t.true(Math.abs(count - 10_000) < 5 * Math.sqrt(10_000 * (6 / 7)), `${counts}`);
});

test('no choice can be mistaken for another one', t => {
	t.deepEqual(ambiguities(grammar), []);
	t.deepEqual(ambiguities({...grammar, marks: [word('on'), word('one ')]}), ['"on" and "one "']);
	const sentence = compile('{x}', {x: [word('cat'), word('dog'), word('do')]});
	t.deepEqual(ambiguities({...grammar, sentence}), ['"dog" and "do"']);
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

test('the probabilities of all stories of one sentence sum to the probability of such a story', t => {
	const {marks} = grammar;
	let sum = 0;
	for (const {text: weather} of lists.weathers)
		for (const {text: name, forms} of lists.names)
			for (const {text: deed} of lists.deeds)
				for (const {text: animal} of lists.animals) {
					const story = `The day was ${weather}. ${name} ${deed} ${forms.his} ${animal}.\n`;
					sum += Math.exp(logProbability(story).logProbability);
				}
	t.true(Math.abs(sum - marks[1].weight / totalWeight(marks)) < 1e-12, `${sum}`);
});

test('the entropy of the grammar is what its texts show', t => {
	const random = new Random(17);
	const {entropy, characters} = storyMeasure();
	const stories = Array.from({length: 20_000}, () => generateStory(random));
	const surprises = stories.map(story => -story.logProbability);
	const lengths = stories.map(story => story.text.length);
	t.is(meanMiss(entropy, surprises), undefined);
	t.is(meanMiss(characters, lengths), undefined);
	// what a story has above the entropy rate times its length: the same per character, but far more exact
	const rate = entropy / characters;
	t.is(
		meanMiss(
			0,
			surprises.map((surprise, story) => surprise - rate * lengths[story]),
		),
		undefined,
	);
	t.true(entropy / characters > 0.4 && entropy / characters < 0.5, `${entropy / characters} nats per character`);
});

test('measures a grammar that can be worked out by hand', t => {
	const names = [
		{text: 'x', weight: 1, forms: {his: 'xs'}},
		{text: 'yyyy', weight: 3, forms: {his: 'y'}},
	];
	const small: Grammar = {
		opening: compile('ab', {}),
		sentence: compile('{s=names}-{s.his}', {names}),
		marks: [
			{text: '..', weight: 3},
			{text: '!', weight: 1},
		],
	};
	const choice = Math.log(4) - (3 / 4) * Math.log(3); // 3 : 1, of the name and of the mark
	const {entropy, characters} = measure(small);
	t.true(Math.abs(entropy - 4 * (choice + choice)) < 1e-12);
	t.is(characters, 2 + 4 * (1 / 4 + 4 * (3 / 4) + 1 + (2 / 4 + 3 / 4) + (2 * (3 / 4) + 1 / 4)));
});

test('refuses a text that is not made of whole stories, naming the place', t => {
	const [story] = generateStories({seed: 4, characters: 1}).split('\n');
	fails(t, () => logProbability('To be, or not to be'), {
		code: 'ERR_DATA',
		message: /at character 0 .*found "To be, or not to be"/,
	});
	fails(t, () => logProbability(story), {
		code: 'ERR_DATA',
		message: new RegExp(`at character ${story.length} .*the end of the text`),
	});
	fails(t, () => logProbability(`${story}\n\n`), {
		code: 'ERR_DATA',
		message: new RegExp(`at character ${story.length + 1} `),
	});
	fails(t, () => logProbability('The day was hot. Ada fed his cat.\n'), {
		code: 'ERR_DATA',
		message: /at character 25 expected "her"/,
	});
	fc.assert(
		fc.property(fc.nat(story.length - 1), fc.constantFrom('#', '0', '_'), (place, wrong) => {
			const text = `${story.slice(0, place)}${wrong}${story.slice(place + 1)}\n`;
			const error = t.throws(() => logProbability(text))!;
			const position = Number(/at character (\d+)/.exec(error.message)![1]);
			t.true(position <= place, `${position} is behind the mistake at ${place}`);
			t.true(story.startsWith(text.slice(0, position)));
		}),
	);
});

test('is split between stories', t => {
	const text = generateStories({seed: 5, characters: 20_000});
	const parts = splitStories(text, 0.9);
	t.is(parts.join(''), text);
	for (const part of parts) t.true(logProbability(part).stories > 1);
	const wanted = 0.9 * text.length;
	t.true(parts[0].length <= wanted && text.indexOf('\n', parts[0].length) + 1 > wanted, `${parts[0].length}`);
	const [first, second] = text.split(/(?<=\n)/);
	const whole = first + second;
	t.deepEqual(splitStories(whole, (first.length + 0.5) / whole.length), [first, second]);
	t.deepEqual(splitStories(whole, (first.length - 0.5) / whole.length), ['', whole]);
	t.deepEqual(splitStories(first, 0.9), ['', first]);
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
	const names = [word('Ada')];
	t.throws(() => compile('{none}', {}), {message: /no list "none"/});
	t.throws(() => compile('{a=none}', {}), {message: /no list "none"/});
	t.throws(() => compile('{a.his} {a=names}', {names}), {message: /"a" is not bound/});
	t.throws(() => compile('{a=names} {a.his}', {names}), {message: /"Ada" has no form "his"/});
});

test('a run on the stories is evaluated against their exact probability, and on no other stories', async t => {
	const cwd = await temporaryFolder(t);
	const env = {DLLM_SHAKESPEARE_URL: 'http://127.0.0.1:1/'};
	const trained = await runCli(['train', '--out', 'run', '--steps', '2', ...tinyFlags], {cwd, env});
	t.is(trained.code, 0, trained.stderr);
	const file = path.join(cwd, 'run', 'data.json');
	const record = JSON.parse(await readFile(file, 'utf8'));
	const {kind, seed, characters, sha256} = record.data;
	const text = generateStories({seed, characters});
	t.deepEqual([kind, sha256], ['stories', createHash('sha256').update(text).digest('hex')]);
	const [, heldOut] = splitStories(text, 0.9);
	const expected = -logProbability(heldOut).logProbability / heldOut.length;

	const json = await runCli(['eval', '--model', 'run', '--eval-batches', '1', '--json'], {cwd, env});
	t.is(json.code, 0, json.stderr);
	const [{nll, exact, ...rest}] = parseLines(json.stdout) as [{nll: number; exact: unknown}];
	t.deepEqual(exact, {nll: expected, gap: nll - expected});
	t.deepEqual(Object.keys(rest), ['bitsPerToken', 'perplexity', 'standardError']);
	const shown = await runCli(['eval', '--model', 'run', '--eval-batches', '1'], {cwd, env});
	const gap = (nll - expected).toFixed(4);
	t.true(shown.stdout.endsWith(`: ${expected.toFixed(4)} nats per token; gap +${gap}\n`), shown.stdout);

	await writeFile(path.join(cwd, 'stories.txt'), text);
	const named = await runCli(['eval', '--model', 'run', '--input', 'stories.txt', '--eval-batches', '1', '--json'], {
		cwd,
	});
	t.false('exact' in parseLines(named.stdout)[0], 'only what the run says is known');

	await writeFile(file, JSON.stringify({...record, data: {...record.data, sha256: '0'.repeat(64)}}));
	for (const args of [
		['eval', '--model', 'run'],
		['train', '--resume', 'run', '--steps', '3'],
	]) {
		const {code, stderr} = await runCli(args, {cwd, env});
		t.is(code, 1);
		t.regex(stderr, /the built-in corpus has changed since the run was trained on it; .*--input/);
	}

	await writeFile(file, JSON.stringify({...record, data: {kind, seed, characters}}));
	const old = await runCli(['eval', '--model', 'run'], {cwd, env});
	t.is(old.code, 1);
	t.regex(old.stderr, /data\.json.*sha256/);
});

function word(text: string): Word {
	return {text, weight: 1, forms: {}};
}
