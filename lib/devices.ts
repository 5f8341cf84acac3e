// The devices that this installation can use, and the choice of one.
import {show} from './config/check.js';
import {ConfigError, DeviceError, toDllmError} from './errors.js';
import {loadNative} from './native.js';
import type {NativeDevice} from './native-types.js';

/**
 * One device: `device` is what `Model.create` takes ('cpu', 'cuda:0'), `memory` is in bytes or null when unknown, `reason`
 * says why it is not usable, and `details` has, for the CPU, the instruction-set path, what multiplies in bfloat16 and the
 * number of threads.
 */
export type DeviceInfo = NativeDevice;

/** `auto` is the best usable device. */
export type DeviceName = 'auto' | 'cpu' | `cuda:${number}`;

export const dtypes = ['float32', 'bfloat16'] as const;

/**
 * What matrix products are computed in. On the CPU, `bfloat16` rounds the operands of the products of layers and head, forward
 * and backward, to bfloat16 (to nearest even) and sums in float32, as PyTorch's autocast does; weights, activations, attention,
 * norms, the loss, the optimizer and checkpoints stay float32. It is many times as fast on CPUs with AMX (Intel since Sapphire
 * Rapids), faster on those of AMD with AVX-512 BF16 (since Zen 4), and elsewhere no faster, with the same meaning.
 */
export type DType = (typeof dtypes)[number];

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

/** @throws ConfigError */
export function checkDType(dtype: DType): DType {
	if (dtypes.includes(dtype)) return dtype;
	throw new ConfigError(`dtype is ${show(dtype)}; accepted: "float32" or "bfloat16"`);
}
