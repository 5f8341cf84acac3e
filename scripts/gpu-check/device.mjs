// The GPU that is checked: what the driver and our own program say of it.
import {cpus} from 'node:os';
import {queryDriver} from '../nvidia-smi.mjs';
import {Failure, runOrFail} from '../run.mjs';

/** {device, auto} as `info --json` prints them; device is cuda:0. */
async function queryOurs({built}, env = {}) {
	const options = {env: {...built.env, ...env}, minutes: 1};
	const stdout = await runOrFail('info', process.execPath, [built.cli, 'info', '--json'], options);
	const {devices, auto} = JSON.parse(stdout);
	return {device: devices.find(({device}) => device === 'cuda:0'), auto};
}

/** For the report: also where there is no usable device, with the reason. */
export async function describeDevice(context) {
	const nvidiaSmi = context.dryRun ? null : await queryDriver();
	const facts = {processor: cpus()[0].model, node: process.version, ...(nvidiaSmi && {nvidiaSmi})};
	try {
		const {device} = await queryOurs(context);
		return device?.usable ? {device, ...facts} : {deviceProblem: device?.reason ?? 'it is not listed', ...facts};
	} catch (error) {
		return {deviceProblem: error.message, ...facts};
	}
}

/** A GPU that the driver is told to hide: the CPU is chosen, and why is said. */
async function checkHidden(context) {
	const found = await queryOurs(context, {CUDA_VISIBLE_DEVICES: ''});
	const {device, auto} = found;
	if (device === undefined || device.usable || !device.reason || auto.device !== 'cpu' || !auto.fallbackReason)
		throw new Failure('with CUDA_VISIBLE_DEVICES= the GPU is used, or there is no reason why not', found);
	return auto.fallbackReason;
}

/** cuda:0 is usable and what 'auto' chooses. The emulated GPU cannot be hidden. */
export async function checkDevice(context) {
	const {device, auto} = await queryOurs(context);
	if (!device?.usable)
		throw new Failure(`cuda:0 is not usable: ${device?.reason ?? 'it is not listed'}`, {device, auto});
	if (auto.device !== 'cuda:0') throw new Failure(`auto is ${JSON.stringify(auto)}`, {device, auto});
	const hidden = context.dryRun ? {} : {hidden: await checkHidden(context)};
	return {name: device.name, memory: device.memory, ...device.details, ...hidden};
}
