// Batches as a .safetensors file: tokens, targets and lossWeights, each [batches, B, T].
import {readTensors, writeTensors} from '../tensors.mjs';

const types = {tokens: Int32Array, targets: Int32Array, lossWeights: Float32Array};

export function writeBatches(file, batches) {
	const shape = [batches.length, batches[0].batch, batches[0].length];
	writeTensors(
		file,
		Object.entries(types).map(([name, type]) => {
			const data = new type(batches.length * batches[0][name].length);
			for (const [index, batch] of batches.entries()) data.set(batch[name], index * batch[name].length);
			return [name, {shape, data}];
		}),
	);
}

export function readBatches(file) {
	const tensors = readTensors(file);
	const [count, batch, length] = tensors.get('tokens').shape;
	return Array.from({length: count}, (_, index) => {
		const part = name => tensors.get(name).data.subarray(index * batch * length, (index + 1) * batch * length);
		return {batch, length, tokens: part('tokens'), targets: part('targets'), lossWeights: part('lossWeights')};
	});
}
