// Reads a .safetensors file for tests, independently of the native reader.
import {readFile} from 'node:fs/promises';

export type Tensor = {readonly shape: readonly number[]; readonly data: Float32Array | Int32Array};

type Entry = {readonly dtype: string; readonly shape: number[]; readonly data_offsets: [number, number]};

export async function readSafetensors(file: string): Promise<Map<string, Tensor>> {
	const bytes = await readFile(file);
	const begin = 8 + Number(bytes.readBigUInt64LE(0));
	const header = JSON.parse(bytes.toString('utf8', 8, begin)) as Record<string, Entry>;
	const tensors = new Map<string, Tensor>();
	for (const [
		name,
		{
			dtype,
			shape,
			data_offsets: [from, to],
		},
	] of Object.entries(header)) {
		if (name === '__metadata__') continue;
		if (dtype !== 'F32' && dtype !== 'I32') throw new Error(`${file}: ${name} is ${dtype}`);
		const copy = Uint8Array.from(bytes.subarray(begin + from, begin + to)).buffer;
		tensors.set(name, {shape, data: dtype === 'F32' ? new Float32Array(copy) : new Int32Array(copy)});
	}

	return tensors;
}
