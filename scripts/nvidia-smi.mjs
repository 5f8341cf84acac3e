// What the driver says of GPU 0, by nvidia-smi.
import {run} from './run.mjs';

/** The values of these fields, each with its unit. */
async function query(fields) {
	const {ending, stdout, stderr} = await run(
		'nvidia-smi',
		[`--query-gpu=${fields}`, '--format=csv,noheader', '--id=0'],
		{
			minutes: 1,
		},
	);
	if (ending !== '') throw new Error(`nvidia-smi: ${ending}: ${stdout}${stderr}`);
	return stdout.trim().split(', ');
}

/** The GPU, its driver and its limits; null where nvidia-smi is not installed or does not know. */
export async function queryDriver() {
	const fields = ['name', 'driver_version', 'memory.total', 'clocks.max.sm', 'power.limit'];
	try {
		const values = await query(fields);
		return Object.fromEntries(fields.map((field, index) => [field, values[index]]));
	} catch {
		return null;
	}
}

/** Bytes that are in use. */
export async function readUsedMemory() {
	const [text] = await query(['memory.used']);
	const found = /^(\d+) MiB$/.exec(text);
	if (found === null) throw new Error(`nvidia-smi: the memory in use is ${text}; accepted: a number of MiB`);
	return Number(found[1]) * 2 ** 20;
}
