// A process that reports its devices: those listed, what `auto` takes, and how other devices are refused.
import {DllmError, listDevices, Model} from '../../lib/index.js';
import {tinyModel} from './tiny.js';

type Refusal = {readonly name: string; readonly code: string; readonly message: string};

async function refusal(device: string): Promise<Refusal | string> {
	try {
		await using model = await Model.create(tinyModel, {device: device as 'auto'});
		return model.device;
	} catch (error) {
		if (!(error instanceof DllmError)) throw error;
		return {name: error.name, code: error.code, message: error.message};
	}
}

async function useAuto(): Promise<unknown> {
	try {
		await using model = await Model.create(tinyModel);
		await model.forward({tokens: Int32Array.of(1, 2, 3), batch: 1, length: 3});
		const {device, dtype, fallbackReason} = model;
		return {device, dtype, fallbackReason};
	} catch (error) {
		if (!(error instanceof DllmError)) throw error;
		return {name: error.name, code: error.code, message: error.message};
	}
}

const names = process.argv.slice(2);
const refusals = Object.fromEntries(await Promise.all(names.map(async name => [name, await refusal(name)] as const)));
console.log(JSON.stringify({devices: await listDevices(), auto: await useAuto(), refusals}));
