// Reads a .safetensors file for tests, independently of the native reader.
import {readFile} from 'node:fs/promises';

export type Tensor = {readonly shape: readonly number[]; readonly data: Float32Array | Int32Array | Uint8Array};

type Entry = {readonly dtype: string; readonly shape: number[]; readonly data_offsets: [number, number]};

const views: Readonly<Record<string, typeof Float32Array | typeof Int32Array | typeof Uint8Array | undefined>> = {
	F32: Float32Array,
	I32: Int32Array,
	U8: Uint8Array,
};

export async function readSafetensors(file: string): Promise<Map<string, Tensor>> {
	const bytes = await readFile(file);
	const begin = 8 + Number(bytes.readBigUInt64LE(0));
	const header = JSON.parse(bytes.toString('utf8', 8, begin)) as Record<string, Entry>;
	const tensors = new Map<string, Tensor>();
	for (const [name, entry] of Object.entries(header)) {
		if (name === '__metadata__') continue;
		const {dtype, shape, data_offsets: offsets} = entry;
		const [from, to] = offsets;
		const view = views[dtype];
		if (view === undefined) throw new Error(`${file}: ${name} is ${dtype}`);
		tensors.set(name, {shape, data: new view(Uint8Array.from(bytes.subarray(begin + from, begin + to)).buffer)});
	}

	return tensors;
}
