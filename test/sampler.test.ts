// Sampler: what a request gets, seeds, batches, streams, canvases, aborting, and what it refuses.
import test from 'ava';
import type {SampleConfig} from '../lib/config.js';
import {Model} from '../lib/model.js';
import {type Frame, type SampleRequest, Sampler} from '../lib/sampler.js';
import {fails, rejects} from './support/expect.js';
import {fixture} from './support/folders.js';
import {tinyModel, tinyTokenizer} from './support/tiny.js';

const mask = tinyTokenizer.maskTokenId;

async function tinySampler(config: SampleConfig = {}): Promise<Sampler> {
	return new Sampler(await Model.create(tinyModel, {seed: 5, tokenizer: tinyTokenizer}), config);
}

test('fills what the context leaves, one token per pass, by default', async t => {
	const sampler = await tinySampler();
	const {tokens, text, forwardPasses, tokensPerForward, seconds} = await sampler.sample({prompt: 'the cat'});
	t.is(tokens.length, tinyModel.contextLength - 7);
	t.is(forwardPasses, tokens.length);
	t.is(tokensPerForward, 1);
	t.true(seconds > 0);
	t.is(text, tinyTokenizer.decode(tokens));
	t.false(tokens.includes(mask));
	t.is((await sampler.sample()).tokens.length, tinyModel.contextLength);
});

test('takes prompts as text and as ids', async t => {
	const sampler = await tinySampler({length: 8});
	const prompt = 'the dog';
	const ids = tinyTokenizer.encode(prompt);
	const [text, typed, list] = await Promise.all([prompt, ids, [...ids]].map(given => sampler.sample({prompt: given})));
	t.deepEqual(text!.tokens, typed!.tokens);
	t.deepEqual(text!.tokens, list!.tokens);
});

test('commits several tokens per pass when there are fewer steps', async t => {
	const sampler = await tinySampler({length: 12, steps: 4, blockLength: 6});
	const {forwardPasses, tokensPerForward} = await sampler.sample({prompt: 'a'});
	t.is(forwardPasses, 4);
	t.is(tokensPerForward, 3);
});

test('gives the same tokens for the same seed, and others for another', async t => {
	const config = {length: 16, temperature: 1};
	const [a, b, other] = [
		await tinySampler({...config, seed: 1}),
		await tinySampler({...config, seed: 1}),
		await tinySampler({...config, seed: 2}),
	];
	const [x, y, z] = await Promise.all([a, b, other].map(sampler => sampler.sample({prompt: 'cat'})));
	t.deepEqual(x!.tokens, y!.tokens);
	t.notDeepEqual(x!.tokens, z!.tokens);
});

const rules = [
	{remasking: 'low_confidence'},
	{remasking: 'random'},
	{remasking: 'margin', topK: 5},
	{remasking: 'entropy', topP: 0.8},
	{threshold: 0.05},
	{factor: 0.98, remasking: 'margin', blockLength: 6},
] as const satisfies readonly SampleConfig[];

for (const rule of rules) {
	test(`gives each request the same tokens alone and in any batch (${JSON.stringify(rule)})`, async t => {
		const sampler = await tinySampler({length: 12, temperature: 1, seed: 9, ...rule});
		const requests: SampleRequest[] = [
			{prompt: 'the cat'},
			{prompt: 'a', seed: 3},
			{prompt: 'sat on', seed: 3},
			{prompt: 'a'},
		];
		const together = await sampler.sampleBatch(requests);
		const own = (index: number) => together[index]!.tokens;
		t.deepEqual((await sampler.sample(requests[0])).tokens, own(0));
		t.deepEqual((await sampler.sample(requests[1])).tokens, own(1));
		t.deepEqual((await sampler.sample(requests[2])).tokens, own(2));
		const other = await sampler.sampleBatch([{prompt: 'dog', seed: 8}, requests[1]!, {}, requests[3]!]);
		t.deepEqual(other[1]!.tokens, own(1));
		t.deepEqual(other[3]!.tokens, own(3), 'the place in the call, not the company, decides the draws');
		t.notDeepEqual(own(1), own(3));
	});
}

test('samples requests of different lengths and canvases in one call', async t => {
	const sampler = await tinySampler();
	const canvas = [mask, 3, mask, mask, 4];
	const requests: SampleRequest[] = [{prompt: 'the'}, {prompt: 'the cat sat'}, {canvas}, {prompt: 'on', canvas}];
	const samples = await sampler.sampleBatch(requests);
	t.deepEqual(
		samples.map(({tokens}) => tokens.length),
		[21, 13, 5, 5],
	);
	t.deepEqual(
		samples.map(({forwardPasses}) => forwardPasses),
		[21, 13, 3, 3],
	);
	t.deepEqual(
		samples[2]!.tokens.filter((_, index) => canvas[index] !== mask),
		Int32Array.of(3, 4),
	);
	t.deepEqual(await sampler.sampleBatch([]), []);
});

test('commits all predictions of a threshold that all reach, and one at a time where none does', async t => {
	const prompt = 'the cat';
	const eager = await (await tinySampler({length: 12, blockLength: 6, threshold: 1e-9})).sample({prompt});
	t.deepEqual([eager.forwardPasses, eager.tokensPerForward], [2, 6]);
	t.false(eager.tokens.includes(mask));
	const careful = await (await tinySampler({length: 12, blockLength: 6, threshold: 1})).sample({prompt});
	const stepwise = await (await tinySampler({length: 12, blockLength: 6})).sample({prompt});
	t.is(careful.forwardPasses, 12);
	t.deepEqual(careful.tokens, stepwise.tokens);
	const fast = await (await tinySampler({length: 12, factor: 1e6})).sample({prompt});
	t.is(fast.forwardPasses, 1);
});

test('a stream shows what each step of a threshold commits', async t => {
	const sampler = await tinySampler({length: 12, threshold: 0.06});
	const prompt = tinyTokenizer.encode('the');
	let committed = 0;
	let last: Frame | undefined;
	for await (const frame of sampler.stream({prompt})) {
		t.true(frame.positions.length > 0);
		for (const confidence of frame.confidences.slice(1)) t.true(confidence > 0);
		if (frame.positions.length > 1) for (const confidence of frame.confidences) t.true(confidence >= 0.06 - 2 ** -16);
		committed += frame.positions.length;
		last = frame;
	}

	t.is(committed, 12);
	const sample = await sampler.sample({prompt});
	t.deepEqual(last!.tokens, sample.tokens);
	t.is(last!.step, sample.forwardPasses);
});

test('topK 1 and a small topP draw the most probable token at any temperature', async t => {
	const prompt = 'the cat';
	const {tokens} = await (await tinySampler({length: 12})).sample({prompt});
	for (const config of [{topK: 1}, {topP: 1e-6}]) {
		const sampler = await tinySampler({length: 12, temperature: 5, ...config});
		t.deepEqual((await sampler.sample({prompt})).tokens, tokens);
	}

	const drawn = await (await tinySampler({length: 12, temperature: 5, topK: 2})).sample({prompt});
	t.notDeepEqual(drawn.tokens, tokens);
});

test('orders of remasking are different orders', async t => {
	const orders = new Set<string>();
	for (const remasking of ['low_confidence', 'random', 'margin', 'entropy'] as const) {
		const sampler = await tinySampler({length: 20, remasking});
		const order: number[] = [];
		for await (const {positions, confidences} of sampler.stream()) {
			order.push(...positions);
			for (const confidence of confidences) t.true(confidence > 0 && confidence <= 1);
		}

		t.is(new Set(order).size, 20);
		orders.add(order.join(' '));
	}

	t.is(orders.size, 4);
});

test('keeps the fixed positions of a canvas', async t => {
	const sampler = await tinySampler({temperature: 1});
	const canvas = Int32Array.of(1, mask, 2, mask, mask, 3);
	const {tokens, forwardPasses} = await sampler.sample({canvas});
	t.deepEqual([tokens[0], tokens[2], tokens[5]], [1, 2, 3]);
	t.false(tokens.includes(mask));
	t.is(forwardPasses, 3);
	t.deepEqual(canvas, Int32Array.of(1, mask, 2, mask, mask, 3), 'the canvas of the caller stays as it is');
});

test('streams a frame per step that ends in what sample gives', async t => {
	const sampler = await tinySampler({length: 8, steps: 4, temperature: 1});
	const prompt = tinyTokenizer.encode('the');
	const frames: Frame[] = [];
	for await (const frame of sampler.stream({prompt})) frames.push(frame);
	t.deepEqual(
		frames.map(({step}) => step),
		[1, 2, 3, 4],
	);
	const committed = new Set<number>();
	for (const {canvas, positions, confidences, tokens, text} of frames) {
		t.deepEqual(canvas.slice(0, prompt.length), prompt);
		t.deepEqual(tokens, canvas.slice(prompt.length));
		t.is(text, tinyTokenizer.decode(tokens));
		t.is(positions.length, 2);
		for (const position of positions) t.true(!committed.has(position) && position >= prompt.length);
		for (const position of positions) committed.add(position);
		for (const confidence of confidences) t.true(confidence > 0 && confidence <= 1);
		t.is(canvas.filter(id => id === mask).length, 8 - committed.size);
	}

	t.deepEqual(frames.at(-1)!.tokens, (await sampler.sample({prompt})).tokens);
});

test('a stream can be left early', async t => {
	const sampler = await tinySampler();
	let frames = 0;
	for await (const _ of sampler.stream({prompt: 'a'})) if (++frames === 2) break;
	t.is(frames, 2);
	t.is((await sampler.sample({prompt: 'a'})).tokens.length, 23);
});

test('ends with ERR_ABORTED by a signal, before and while it runs', async t => {
	const aborted = {code: 'ERR_ABORTED', message: /aborted/} as const;
	const sampler = await tinySampler();
	await rejects(t, () => sampler.sample({signal: AbortSignal.abort()}), aborted);
	const model = await Model.create('nano', {vocabSize: 66});
	const controller = new AbortController();
	const running = new Sampler(model).sampleBatch([
		{signal: controller.signal},
		...new Array<SampleRequest>(15).fill({}),
	]);
	setTimeout(() => controller.abort(), 30);
	await rejects(t, () => running, aborted);
	const streaming = async () => {
		const second = new AbortController();
		for await (const {step} of sampler.stream({signal: second.signal})) if (step === 2) second.abort();
	};
	await rejects(t, streaming, aborted);
});

const wrongRequests: readonly (readonly [SampleConfig, SampleRequest, RegExp])[] = [
	[{}, {prompt: [1, 99]}, /prompt\[1\] is 99; accepted: an integer from 0 to/],
	[{}, {prompt: [1, mask]}, /prompt\[1\] is the mask token/],
	[{}, {prompt: 5 as never}, /prompt is 5; accepted: an array of token ids or text/],
	[
		{},
		{prompt: new Array<number>(24).fill(1)},
		/the prompt has 24 tokens; accepted: less than the model's context of 24/,
	],
	[{length: 20}, {prompt: [1, 2, 3, 4, 5]}, /length is 20; accepted: at most 19/],
	[{}, {canvas: [1, 2]}, /the canvas has no mask tokens/],
	[{}, {canvas: new Array<number>(25).fill(mask)}, /the length of the canvas is 25; accepted: at most 24/],
	[{steps: 3}, {canvas: [mask, 1, mask]}, /steps is 3; accepted: at most the number of mask tokens \(2\)/],
	[{blockLength: 2}, {canvas: [mask, 1, mask]}, /blockLength is 2; accepted: a divisor of the length \(3\)/],
	[{}, {seed: 1.5}, /request\.seed is 1\.5/],
	[{}, {signal: 'x' as never}, /request\.signal is "x"; accepted: an AbortSignal/],
	[
		{},
		{promt: 'x'} as never,
		/the request: unknown key "promt"\. Did you mean "prompt"\? Accepted keys: prompt, canvas, seed, signal/,
	],
	[{}, 'the cat' as never, /the request is "the cat"; accepted: an object/],
];

for (const [config, request, message] of wrongRequests) {
	test(`refuses a request with ${message}`, async t => {
		const sampler = await tinySampler(config);
		await rejects(t, () => sampler.sample(request), {code: 'ERR_CONFIG', message});
		await rejects(t, () => sampler.stream(request).next(), {code: 'ERR_CONFIG', message});
	});
}

test('refuses wrong configs and arguments at once', async t => {
	const {model} = await tinySampler();
	fails(t, () => new Sampler(model, {length: 4, steps: 5}), {code: 'ERR_CONFIG', message: /steps is 5/});
	fails(t, () => new Sampler({} as never), {
		code: 'ERR_CONFIG',
		message: /model of a Sampler is \{\}; accepted: a Model/,
	});
	await rejects(t, () => new Sampler(model).sampleBatch({} as never), {
		code: 'ERR_CONFIG',
		message: /the list of requests is \{\}; accepted: an array/,
	});
});

test('needs a tokenizer for text only', async t => {
	const sampler = new Sampler(await Model.load(fixture('vectors', 'llada-masked')), {length: 4});
	await rejects(t, () => sampler.sample({prompt: 'x'}), {code: 'ERR_TOKENIZER', message: /no tokenizer/});
	t.false('text' in (await sampler.sample({prompt: [1, 2]})));
	const named = await tinySampler();
	await rejects(t, () => named.sample({prompt: 'ß'}), {code: 'ERR_TOKENIZER', message: /ß/});
});

test('refuses calls after dispose, of the sampler or of its model', async t => {
	const disposed = {code: 'ERR_DISPOSED', message: /disposed/} as const;
	const sampler = await tinySampler();
	sampler.dispose();
	await rejects(t, () => sampler.sample(), disposed);
	await rejects(t, () => sampler.stream().next(), disposed);
	const another = new Sampler(sampler.model);
	sampler.model.dispose();
	await rejects(t, () => another.sample(), disposed);
});
