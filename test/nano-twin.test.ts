// The `nano` preset trains as its PyTorch twin does: same weights, same batches, the same losses.
import {readFileSync} from 'node:fs';
import test from 'ava';
import {Model} from '../lib/model.js';
import {presets} from '../lib/presets.js';
import {Trainer} from '../lib/trainer.js';
import {readTwinBatches, twinFolder} from './support/nano-twin.js';

type Losses = {readonly losses: readonly number[]; readonly gradient_norms: readonly number[]};

test('the losses of 50 steps agree with PyTorch in float64 within 1e-4', async t => {
	const expected = JSON.parse(readFileSync(`${twinFolder}/losses.json`, 'utf8')) as Losses;
	const model = await Model.load(twinFolder);
	const batches = await readTwinBatches(model.config.maskTokenId);
	t.is(batches.length, 50);
	t.is(batches[0]!.length, model.config.contextLength);
	const trainer = new Trainer(model, presets.nano.train);
	for (const [step, batch] of batches.entries()) {
		const {loss, gradientNorm} = await trainer.step(batch);
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
