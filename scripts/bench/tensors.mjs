// Reads and writes .safetensors files: how weights, batches and gradients travel between two sides of a benchmark.
import {readFileSync, writeFileSync} from 'node:fs';

const types = {F32: Float32Array, I32: Int32Array};

/** @returns {Map<string, {shape: number[], data: Float32Array | Int32Array}>} */
export function readTensors(file) {
	const bytes = readFileSync(file);
	const begin = 8 + Number(bytes.readBigUInt64LE(0));
	const {__metadata__, ...header} = JSON.parse(bytes.toString('utf8', 8, begin));
	return new Map(
		Object.entries(header).map(
			([
				name,
				{
					dtype,
					shape,
					data_offsets: [from, to],
				},
			]) => {
				if (!Object.hasOwn(types, dtype)) throw new Error(`${file}: ${name} is ${dtype}; accepted: F32 or I32`);
				// a copy, since a view must begin at a multiple of its element's size
				return [
					name,
					{shape, data: new types[dtype](Uint8Array.from(bytes.subarray(begin + from, begin + to)).buffer)},
				];
			},
		),
	);
}

/** @param tensors entries of [name, {shape, data}] */
export function writeTensors(file, tensors) {
	const header = {};
	const parts = [];
	let offset = 0;
	for (const [name, {shape, data}] of tensors) {
		const dtype = data instanceof Int32Array ? 'I32' : 'F32';
		header[name] = {dtype, shape, data_offsets: [offset, offset + data.byteLength]};
		parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
		offset += data.byteLength;
	}

	const text = Buffer.from(JSON.stringify(header));
	const size = Buffer.alloc(8);
	size.writeBigUInt64LE(BigInt(text.length));
	writeFileSync(file, Buffer.concat([size, text, ...parts]));
}
