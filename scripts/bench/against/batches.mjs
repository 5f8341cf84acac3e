// Masked batches of the built-in corpus: the same for both sides, drawn once.
import {batchCount} from './sizes.mjs';

// The generator of Steele and Vigna's SplitMix family with 32 bits of state: uniforms in [0, 1).
function createRandom(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x9e3779b9) >>> 0;
		let z = state;
		z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
		z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
		return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
	};
}

/**
 * Batches as the masked objective draws them: a mask probability p for each sequence, stratified over the batch; the loss weight of
 * a masked token is 1 / (p B T).
 *
 * @param {Int32Array} ids the corpus
 */
export function drawBatches(ids, {batch, context: length, maskTokenId}, seed = 1) {
	const random = createRandom(seed);
	return Array.from({length: batchCount}, () => {
		const tokens = new Int32Array(batch * length);
		const targets = new Int32Array(batch * length);
		const lossWeights = new Float32Array(batch * length);
		const shift = random();
		for (let row = 0; row < batch; row++) {
			const begin = Math.floor(random() * (ids.length - length));
			const probability = 1e-3 + (1 - 1e-3) * ((row + shift) / batch);
			for (let position = 0; position < length; position++) {
				const index = row * length + position;
				const isMasked = random() < probability;
				targets[index] = ids[begin + position];
				tokens[index] = isMasked ? maskTokenId : targets[index];
				lossWeights[index] = isMasked ? 1 / (probability * batch * length) : 0;
			}
		}

		return {batch, length, tokens, targets, lossWeights};
	});
}
