// The run of the `nano` preset that PyTorch was given too, as scripts/reference/nano_twin.py writes it (--seed 3: a run in
// which PyTorch's float32 follows its float64 within 4e-7).
import type {Batch} from '../../lib/batch.js';
import {fixture} from './folders.js';
import {readSafetensors} from './safetensors.js';

/** The checkpoint that the run starts from; batches.safetensors and losses.json lie beside it. */
export const twinFolder = fixture('nano-pytorch');

/** The batch of every step, weighted as the masked objective does: 1 / (p B T) where a token is masked. */
export async function readTwinBatches(maskTokenId: number): Promise<Batch[]> {
	const tensors = await readSafetensors(`${twinFolder}/batches.safetensors`);
	const [steps, batch, length] = tensors.get('noisy')!.shape as [number, number, number];
	const maskProbability = tensors.get('mask_probability')!.data;
	return Array.from({length: steps}, (_, step) => {
		const rows = (name: string) =>
			Int32Array.from(tensors.get(name)!.data.subarray(step * batch * length, (step + 1) * batch * length));
		const tokens = rows('noisy');
		const weight = (index: number) =>
			1 / (maskProbability[step * batch + Math.floor(index / length)]! * batch * length);
		const lossWeights = Float32Array.from(tokens, (token, index) => (token === maskTokenId ? weight(index) : 0));
		return {batch, length, tokens, targets: rows('clean'), lossWeights};
	});
}
