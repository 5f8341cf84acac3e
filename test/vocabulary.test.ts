// Vocabularies: a dataset that was encoded for another model is refused, and unknown ids are shown.
import test from 'ava';
import {Dataset} from '../lib/dataset.js';
import {Model} from '../lib/model.js';
import {Sampler} from '../lib/sampler.js';
import {Tokenizer} from '../lib/tokenizer.js';
import {Trainer} from '../lib/trainer.js';
import {rejects} from './support/expect.js';
import {tinyModel, tinyText, tinyTokenizer, tinyTraining} from './support/tiny.js';
import {collect, tinyDataset, tinyTrainer} from './support/training.js';

const data = {code: 'ERR_DATA'} as const;

test('refuses a dataset of another tokenizer, wherever it is used', async t => {
	const trainer = await tinyTrainer();
	const message =
		/encoded with a char tokenizer of \d+ ids, but the model's is a char tokenizer of \d+ ids.*dataset alone: "xyz", of the model alone: "\w*"/;
	const other = Dataset.fromText(`${tinyText}xyz`, Tokenizer.char(`${tinyText.replaceAll('s', '')}xyzs`));
	await rejects(t, () => trainer.step(other), {...data, message});
	await rejects(t, () => trainer.evaluate(other), {...data, message});
	await rejects(t, () => trainer.fit(other).next(), {...data, message});
	await rejects(t, () => collect(trainer.fit(tinyDataset, {validation: other})), {...data, message});
	t.is(trainer.completedSteps, 0, 'the validation data is checked before the first step');
	await rejects(t, () => trainer.step(Dataset.fromText(tinyText, Tokenizer.byte())), {
		...data,
		message: /encoded with a byte tokenizer of 257 ids, but the model's is a char tokenizer/,
	});
	await t.notThrowsAsync(trainer.step(Dataset.fromText(tinyText, Tokenizer.char(tinyText))), 'an equal tokenizer');
});

test('refuses a dataset with more ids than a model without a tokenizer has', async t => {
	const trainer = new Trainer(await Model.create({...tinyModel, vocabSize: 100}), tinyTraining);
	await rejects(t, () => trainer.step(Dataset.fromText(tinyText, Tokenizer.byte())), {
		...data,
		message: /a byte tokenizer of 257 ids, but the model's vocabulary has 100 ids/,
	});
	await t.notThrowsAsync(trainer.step(tinyDataset));
});

test('names the largest of bare ids that a model does not have', async t => {
	const trainer = await tinyTrainer();
	const ids = new Int32Array(60).fill(1);
	await t.notThrowsAsync(trainer.step(Dataset.fromTokens(ids)));
	ids[41] = 30;
	ids[42] = 200;
	await rejects(t, () => trainer.step(Dataset.fromTokens(ids)), {
		...data,
		message: new RegExp(`largest token is 200, at place 42; .* 0 to ${tinyModel.vocabSize - 1}$`),
	});
});

test('shows ids that the tokenizer lacks as U+FFFD', async t => {
	const vocabSize = 5000; // random weights predict ids above the tokenizer's nearly always
	const model = await Model.create({...tinyModel, vocabSize}, {tokenizer: tinyTokenizer});
	const sampler = new Sampler(model, {length: 6});
	const {tokens, text} = await sampler.sample({prompt: 'the'});
	t.true(tokens.some(id => id >= tinyTokenizer.vocabSize));
	const shown = [...tokens].map(id => (id < tinyTokenizer.maskTokenId ? tinyTokenizer.decode([id]) : '\uFFFD'));
	t.is(text, shown.join(''));
	const canvas = [0, vocabSize - 1, tinyTokenizer.maskTokenId, 1, vocabSize - 1];
	const {value} = await sampler.stream({canvas}).next();
	const first = value as {tokens: Int32Array; text?: string};
	t.is(first.text![0], tinyTokenizer.decode([0]));
	t.is(first.text![2], '\uFFFD', "the id of the tokenizer's mask is not the model's mask");
	t.is([...first.text!].filter(character => character === '█').length, 1);
});
