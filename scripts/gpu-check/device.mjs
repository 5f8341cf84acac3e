// The GPU that is checked: what the driver and our own program say of it.
import {cpus} from 'node:os';
import {Failure, run} from './run.mjs';

async function queryDriver() {
	const fields = ['name', 'driver_version', 'memory.total', 'clocks.max.sm', 'power.limit'];
	try {
		const query = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader', '--id=0'];
		const {code, stdout} = await run('nvidia-smi', query);
		if (code !== 0) return undefined;
		const values = stdout.trim().split(', ');
		return Object.fromEntries(fields.map((field, index) => [field, values[index]]));
	} catch {
		return undefined; // it is not installed
	}
}

/** {device, auto} as `info --json` prints them; device is cuda:0. */
async function queryOurs({built}) {
	const {stdout, stderr} = await run(process.execPath, [built.cli, 'info', '--json'], {env: built.env});
	if (stdout === '') throw new Failure(`info --json printed nothing: ${stderr}`);
	const {devices, auto} = JSON.parse(stdout);
	return {device: devices.find(({device}) => device === 'cuda:0'), auto};
}

/** For the report: also where nothing could be found. */
export async function describeDevice(context) {
	const nvidiaSmi = context.dryRun ? undefined : await queryDriver();
	const facts = {processor: cpus()[0].model, node: process.version, ...(nvidiaSmi && {nvidiaSmi})};
	try {
		const {device} = await queryOurs(context);
		return {device, ...facts};
	} catch (error) {
		return {deviceProblem: error.message, ...facts};
	}
}

/** cuda:0 is usable and what 'auto' chooses. */
export async function checkDevice(context) {
	const {device, auto} = await queryOurs(context);
	if (!device?.usable)
		throw new Failure(`cuda:0 is not usable: ${device?.reason ?? 'it is not listed'}`, {device, auto});
	if (auto.device !== 'cuda:0') throw new Failure(`auto is ${JSON.stringify(auto)}`, {device, auto});
	return {name: device.name, memory: device.memory, ...device.details};
}
