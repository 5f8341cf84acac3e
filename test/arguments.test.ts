// Arguments: a misspelt key is named with the nearest one, and every wrong type is an error of this package.
import test from 'ava';
import * as publicNames from '../lib/index.js';
import {
	configKeys,
	Dataset,
	generateStories,
	logProbability,
	Model,
	prepareDataset,
	resolveTrainConfig,
	Sampler,
	Tokenizer,
	Trainer,
} from '../lib/index.js';
import {rejects} from './support/expect.js';
import {fixture} from './support/folders.js';
import {tinyModel, tinyTokenizer} from './support/tiny.js';
import {tinyDataset, tinyTrainer} from './support/training.js';

const wrong = undefined as never;
const batch = {tokens: Int32Array.of(0), batch: 1, length: 1};
const gpt2 = fixture('vectors', 'gpt2-masked');
const circular: Record<string, unknown> = {};
circular.self = circular;
const model = await Model.create(tinyModel, {tokenizer: tinyTokenizer});
const trainer = await tinyTrainer();

const calls: readonly (readonly [string, () => unknown, RegExp])[] = [
	[
		'create: seed',
		() => Model.create('nano', {sede: 5} as never),
		/options of create: unknown key "sede"\. Did you mean "seed"\?/,
	],
	[
		'create: null',
		() => Model.create(tinyModel, null as never),
		/options of create is null; accepted: an object with the keys device/,
	],
	['create: no config', () => Model.create(wrong), /the config is missing; accepted: a ModelConfig or a preset name/],
	[
		'create: tokenizer',
		() => Model.create(tinyModel, {tokenizer: 'char' as never}),
		/tokenizer is "char"; accepted: a Tokenizer/,
	],
	[
		'create: layers',
		() => Model.create({...tinyModel, layers: undefined, layres: 1} as never),
		/unknown key "layres"\. Did you mean "layers"\?/,
	],
	[
		'create: a cycle',
		() => Model.create({...tinyModel, norm: circular} as never),
		/norm.*unknown key "self"|unknown key "self" in norm/,
	],
	['load: maskTokenId', () => Model.load(gpt2, {maskTokenID: 1} as never), /Did you mean "maskTokenId"\?/],
	['load: null', () => Model.load(gpt2, null as never), /options of load is null/],
	['save: folder', () => model.save(wrong), /the folder of a checkpoint is missing; accepted: a path/],
	['save: overwrite', () => model.save('/nowhere', {overwite: true} as never), /Did you mean "overwrite"\?/],
	['save: truth', () => model.save('/nowhere', {overwrite: 1 as never}), /overwrite is 1; accepted: true or false/],
	['parameter', () => model.parameter(5 as never), /name of a parameter is 5; accepted: a string/],
	[
		'forward: attention',
		() => model.forward({...batch, attenton: 'causal'} as never),
		/batch: unknown key "attenton"\. Did you mean "attention"\?/,
	],
	['forward: null', () => model.forward(null as never), /batch is null; accepted: an object with the keys tokens/],
	[
		'forward: a key of attention',
		() => model.forward({...batch, attention: {kind: 'block_causal', blockLenght: 1}} as never),
		/batch\.attention: unknown key "blockLenght"/,
	],
	['open', () => Dataset.open('folder', wrong), /options of open is missing; accepted: an object with the keys split/],
	['open: split', () => Dataset.open('folder', {spilt: 'train'} as never), /Did you mean "split"\?/],
	['open: folder', () => Dataset.open(wrong, {split: 'train'}), /folder of a dataset is missing; accepted: a path/],
	['fromText', () => Dataset.fromText('text', wrong), /tokenizer of a dataset is missing; accepted: a Tokenizer/],
	['fromText: text', () => Dataset.fromText(5 as never, tinyTokenizer), /text of a dataset is 5; accepted: a string/],
	['char', () => Tokenizer.char(5 as never), /text of a char tokenizer is 5; accepted: a string/],
	['tokenizer load', () => Tokenizer.load(5 as never), /folder of a tokenizer is 5; accepted: a path/],
	['tokenizer save', () => tinyTokenizer.save(wrong), /folder of a tokenizer is missing/],
	['encode', () => tinyTokenizer.encode(wrong), /text to encode is missing; accepted: a string/],
	['decode', () => tinyTokenizer.decode(5 as never), /tokens to decode is 5; accepted: an array of ids/],
	['decode: mask', () => tinyTokenizer.decode([0], {masc: '_'} as never), /Did you mean "mask"\?/],
	['trainer', () => new Trainer(wrong), /model of a Trainer is missing; accepted: a Model/],
	['trainer config', () => new Trainer(model, null as never), /the value is null/],
	['resume', () => Trainer.resume('run', {confg: {}} as never), /Did you mean "config"\?/],
	[
		'resume: config',
		() => Trainer.resume('run', {config: 5 as never}),
		/config is 5; accepted: an object with keys of TrainConfig/,
	],
	['step', () => trainer.step(wrong), /data of step is missing; accepted: a Dataset or a batch/],
	['fit', () => trainer.fit(wrong).next(), /data of fit is missing; accepted: a Dataset/],
	[
		'fit: options',
		() => trainer.fit(tinyDataset, {validaton: tinyDataset} as never).next(),
		/Did you mean "validation"\?/,
	],
	[
		'fit: signal',
		() => trainer.fit(tinyDataset, {signal: 'x' as never}).next(),
		/signal is "x"; accepted: an AbortSignal/,
	],
	[
		'fit: validation',
		() => trainer.fit(tinyDataset, {validation: [] as never}).next(),
		/validation is \[\]; accepted: a Dataset/,
	],
	['evaluate', () => trainer.evaluate(tinyDataset, {singal: 1} as never), /Did you mean "signal"\?/],
	['trainer save', () => trainer.save(wrong), /runFolder is missing; accepted: a path/],
	['sampler', () => new Sampler(model, {step: 1} as never), /unknown key "step"\. Did you mean "steps"\?/],
	['sample', () => new Sampler(model).sample(null as never), /the request is null/],
	['prepare', () => prepareDataset(wrong), /PrepareConfig is missing/],
	['prepare: input', () => prepareDataset({output: 'x'} as never), /PrepareConfig: input is missing; accepted: a path/],
	['prepare: key', () => prepareDataset({input: 'x', ouput: 'x'} as never), /Did you mean "output"\?/],
	['stories', () => generateStories(wrong), /StoriesConfig is missing/],
	['stories: key', () => generateStories({seed: 1, charaters: 5} as never), /Did you mean "characters"\?/],
	['stories: text', () => logProbability(5 as never), /the text is 5; accepted: a string/],
	['config keys', () => configKeys('modle' as never), /accepted: "model", "train" or "sample"/],
	['train config', () => resolveTrainConfig({}, wrong), /model of a TrainConfig is missing/],
];

for (const [name, call, message] of calls) {
	test(`says what is wrong with the arguments of ${name}`, async t => {
		await rejects(t, async () => call(), {code: 'ERR_CONFIG', message});
	});
}

test('a wrong description of a tokenizer is not taken for another kind', async t => {
	await rejects(t, () => Tokenizer.fromDescription({kind: 'x'} as never), {
		code: 'ERR_TOKENIZER',
		message: /kind is "x"/,
	});
});

test('publishes the error classes, and nothing that is internal', t => {
	t.true('DataError' in publicNames);
	t.false('toDllmError' in publicNames);
});
