// A model and a text small enough to train in a moment.
import type {ModelConfig, TrainConfig} from '../../lib/config.js';
import {Tokenizer} from '../../lib/tokenizer.js';

export const tinyText = 'the cat sat on the mat. the dog sat on the log. '.repeat(20);

export const tinyTokenizer = Tokenizer.char(tinyText);

export const tinyModel = {
	layers: 2,
	heads: 2,
	width: 32,
	contextLength: 24,
	vocabSize: tinyTokenizer.vocabSize,
} as const satisfies ModelConfig;

export const tinyTraining = {
	steps: 8,
	batchSize: 4,
	learningRate: 1e-2,
	evalBatches: 2,
	evalEvery: 4,
	saveEvery: 4,
} as const satisfies TrainConfig;
