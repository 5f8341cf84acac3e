// The devices that this installation can use, and the choice of one.
import {show} from './config/check.js';
import {ConfigError, DeviceError, toDllmError} from './errors.js';
import {loadNative} from './native.js';
import type {NativeDevice} from './native-types.js';

/**
 * One device: `device` is what `Model.create` takes ('cpu', 'cuda:0'), `memory` is in bytes or null when unknown, `reason`
 * says why it is not usable, and `details` has, for the CPU, the instruction-set path and the number of threads.
 */
export type DeviceInfo = NativeDevice;

/** `auto` is the best usable device. */
export type DeviceName = 'auto' | 'cpu' | `cuda:${number}`;

/** How numbers are stored and multiplied. */
export type DType = 'float32' | 'bfloat16';

/**
 * All devices, the unusable ones with the reason why.
 * @throws NativeError when the native addon cannot be loaded.
 */
export async function listDevices(): Promise<DeviceInfo[]> {
	try {
		return loadNative().listDevices();
	} catch (error) {
		throw toDllmError(error);
	}
}

/** The usable device that a name stands for. */
export async function chooseDevice(name: DeviceName): Promise<string> {
	if (name === 'auto' || name === 'cpu') return 'cpu';
	if (typeof name !== 'string' || !/^cuda:\d+$/.test(name)) {
		throw new ConfigError(`device is ${show(name)}; accepted: "auto", "cpu" or "cuda:N"`);
	}

	const devices = await listDevices();
	const found = devices.find(({device}) => device === name);
	if (found?.usable) return found.device;
	const usable = devices.filter(device => device.usable).map(({device}) => JSON.stringify(device));
	throw new DeviceError(
		`device "${name}" cannot be used: ${found?.reason ?? 'there is none'}; usable: ${usable.join(', ')}`,
	);
}

/** Refuses what no backend of this device computes in. */
export function checkDType(dtype: DType, device: string): DType {
	if (dtype === 'float32') return dtype;
	if (dtype !== 'bfloat16') throw new ConfigError(`dtype is ${show(dtype)}; accepted: "float32" or "bfloat16"`);
	throw new DeviceError(`dtype "bfloat16" needs a GPU backend; the device "${device}" computes in "float32"`);
}
