// Batches: what is refused, what is not read, and that sequences do not see each other.
import test from 'ava';
import type {Batch} from '../lib/batch.js';
import {Model} from '../lib/model.js';
import {rejects} from './support/expect.js';
import {tinyModel} from './support/tiny.js';

const batch: Batch = {tokens: Int32Array.of(0, 1, 2, 3, 4, 5), batch: 2, length: 3};
const weighted: Batch = {
	...batch,
	targets: Int32Array.of(1, 2, 3, 4, 5, 0),
	lossWeights: new Float32Array(6).fill(1 / 6),
};

const wrongBatches: readonly (readonly [object, RegExp])[] = [
	[{batch: 0}, /batch\.batch is 0; accepted: an integer of at least 1/],
	[{length: 1.5}, /batch\.length is 1\.5/],
	[{tokens: [1, 2]}, /batch\.tokens is \[1,2\]; accepted: an Int32Array/],
	[
		{tokens: new Int32Array(5)},
		/batch\.tokens is Int32Array of 5 elements; accepted: 6 elements \(batch \* length = 2 \* 3\)/,
	],
	[{tokens: new Int32Array(6).fill(99)}, /batch\.tokens\[0\] is 99/],
	[{targets: undefined}, /batch\.targets is missing; accepted: an Int32Array/],
	[{targets: new Int32Array(6).fill(-1)}, /batch\.targets\[0\] is -1/],
	[{lossWeights: new Float64Array(6)}, /batch\.lossWeights is a Float64Array; accepted: a Float32Array/],
	[{lossWeights: new Float32Array(6).fill(Number.NaN)}, /batch\.lossWeights\[0\] is not finite/],
	[{positions: Int32Array.of(0, 1, 99)}, /batch\.positions\[2\] is 99/],
	[{lengths: Int32Array.of(1)}, /batch\.lengths is Int32Array of 1 elements; accepted: 2 elements/],
	[{lengths: Int32Array.of(1, 4)}, /batch\.lengths\[1\] is 4/],
	[{attention: 'sparse'}, /batch\.attention is sparse; accepted: full, causal/],
	[{attention: {kind: 'sparse'}}, /batch\.attention is sparse/],
	[{attention: null}, /batch\.attention is null/],
	[
		{attention: {kind: 'explicit', mask: new Uint8Array(5)}},
		/attention\.mask is Uint8Array of 5 elements; accepted: 9 or 18 elements/,
	],
	[{attention: {kind: 'annealed', openProbability: 2, seed: 0, step: 0}}, /attention\.openProbability is 2/],
	[{attention: {kind: 'block_causal', blockLength: 0}}, /attention\.blockLength is 0/],
	[
		{attention: {kind: 'block_diffusion', blockLength: 1}},
		/batch\.length is 3; accepted for block_diffusion: an even number/,
	],
];

for (const [change, message] of wrongBatches) {
	test(`refuses a batch with ${message}`, async t => {
		const model = await Model.create(tinyModel);
		await rejects(t, () => model.lossAndGradients({...weighted, ...change}), {code: 'ERR_CONFIG', message});
	});
}

test('does not read targets and weights in a forward pass, nor targets without weight', async t => {
	const model = await Model.create(tinyModel);
	const {logits} = await model.forward(batch);
	const wrong = {...batch, targets: new Int32Array(1), lossWeights: 'x' as never};
	t.deepEqual((await model.forward(wrong)).logits, logits);
	const unread = {...weighted, targets: new Int32Array(6).fill(-100), lossWeights: new Float32Array(6)};
	t.is((await model.lossAndGradients(unread)).loss, 0);
});

test('gives each sequence the same logits alone and in a batch, padded or not', async t => {
	const model = await Model.create(tinyModel, {seed: 3});
	const {vocabSize} = tinyModel;
	const alone = await model.forward({tokens: Int32Array.of(3, 4), batch: 1, length: 2});
	const padded = await model.forward({...batch, lengths: Int32Array.of(3, 2)});
	t.deepEqual(padded.logits.slice(3 * vocabSize, 5 * vocabSize), alone.logits);
});
