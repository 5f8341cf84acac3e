// The `nano` preset trains as its PyTorch twin does: same weights, same batches, the same losses.
import {readFileSync} from 'node:fs';
import test from 'ava';
import {Model} from '../lib/model.js';
import {presets} from '../lib/presets.js';
import {Trainer} from '../lib/trainer.js';
import {fixture} from './support/folders.js';
import {readSafetensors} from './support/safetensors.js';

type Losses = {readonly losses: readonly number[]; readonly gradient_norms: readonly number[]};

// Written by scripts/reference/nano_twin.py --seed 3, a run in which PyTorch's float32 follows its float64 within 4e-7.
const folder = fixture('nano-pytorch');

test('the losses of 50 steps agree with PyTorch in float64 within 1e-4', async t => {
	const expected = JSON.parse(readFileSync(`${folder}/losses.json`, 'utf8')) as Losses;
	const tensors = await readSafetensors(`${folder}/batches.safetensors`);
	const [steps, batch, length] = tensors.get('noisy')!.shape as [number, number, number];
	const maskProbability = tensors.get('mask_probability')!.data;
	const model = await Model.load(folder);
	t.is(steps, 50);
	t.is(length, model.config.contextLength);
	const trainer = new Trainer(model, presets.nano.train);
	for (let step = 0; step < steps; step++) {
		const rows = (name: string) =>
			Int32Array.from(tensors.get(name)!.data.subarray(step * batch * length, (step + 1) * batch * length));
		const tokens = rows('noisy');
		const lossWeights = Float32Array.from(tokens, (token, i) =>
			token === model.config.maskTokenId
				? 1 / (maskProbability[step * batch + Math.floor(i / length)]! * batch * length)
				: 0,
		);
		const {loss, gradientNorm} = await trainer.step({batch, length, tokens, targets: rows('clean'), lossWeights});
		t.true(
			Math.abs(loss - expected.losses[step]!) <= 1e-4,
			`step ${step}: loss ${loss}, expected ${expected.losses[step]}`,
		);
		const norm = expected.gradient_norms[step]!;
		t.true(Math.abs(gradientNorm / norm - 1) <= 1e-3, `step ${step}: gradient norm ${gradientNorm}, expected ${norm}`);
	}

	trainer.dispose();
	model.dispose();
});
