// The devices that this installation can use, and the choice of one.
import {show} from './config/check.js';
import {ConfigError, DeviceError} from './errors.js';
import {exists} from './files.js';
import {loadNative} from './native.js';
import {nativeCall} from './native-call.js';
import type {NativeDevice} from './native-types.js';

/**
 * One device: `device` is what `Model.create` takes ('cpu', 'cuda:0'), `memory` is in bytes or null when unknown, and `reason`
 * says why it is not usable. `details` has, for the CPU, the instruction-set path, what multiplies in bfloat16 and the number of
 * threads; for a GPU, its compute capability, the versions of driver, runtime and cuBLAS, and what the CUDA module was compiled
 * for. Where no GPU can be used there is one entry, 'cuda:0', with the reason.
 */
export type DeviceInfo = NativeDevice;

/** `auto` is the first usable GPU, else the CPU. */
export type DeviceName = 'auto' | 'cpu' | `cuda:${number}`;

export const dtypes = ['float32', 'bfloat16'] as const;

/**
 * What is computed in. On the CPU, `bfloat16` rounds the operands of the products of layers and head, forward
 * and backward, to bfloat16 (to nearest even) and sums in float32, as PyTorch's autocast does; weights, activations, attention,
 * norms, the loss, the optimizer and checkpoints stay float32. It is many times as fast on CPUs with AMX (Intel since Sapphire
 * Rapids), faster on those of AMD with AVX-512 BF16 (since Zen 4), and elsewhere no faster, with the same meaning.
 *
 * On CUDA, `bfloat16` keeps activations in bfloat16 and multiplies on the tensor cores with float32 sums, in products and in
 * attention; master weights, gradients, the optimizer's moments, the loss and checkpoints are float32. `float32` is float32
 * throughout, without TF32: much slower, for comparing with the CPU.
 */
export type DType = (typeof dtypes)[number];

/** A usable device, and why `auto` took the CPU on a machine with an NVIDIA GPU or an installation with CUDA; else undefined. */
export type ChosenDevice = {readonly device: string; readonly fallbackReason: string | undefined};

/**
 * All devices, the unusable ones with the reason why.
 * @throws NativeError when the native addon cannot be loaded.
 */
export async function listDevices(): Promise<DeviceInfo[]> {
	return nativeCall(() => loadNative().listDevices());
}

export function isDeviceName(name: unknown): name is DeviceName {
	return typeof name === 'string' && /^(auto|cpu|cuda:(0|[1-9]\d*))$/.test(name);
}

/**
 * The usable device that a name stands for.
 * @throws ConfigError for what is no name, DeviceError with the reason for a GPU that cannot be used.
 */
export async function chooseDevice(name: DeviceName): Promise<ChosenDevice> {
	if (!isDeviceName(name)) throw new ConfigError(`device is ${show(name)}; accepted: "auto", "cpu" or "cuda:N"`);
	if (name === 'cpu') return {device: name, fallbackReason: undefined};
	const devices = await listDevices();
	if (name === 'auto') return chooseBest(devices);
	const found = devices.find(({device}) => device === name);
	if (found?.usable) return {device: found.device, fallbackReason: undefined};
	const usable = devices.filter(device => device.usable).map(({device}) => JSON.stringify(device));
	throw new DeviceError(
		`device "${name}" cannot be used: ${found?.reason ?? explainAbsence(devices)}; usable: ${usable.join(', ')}`,
	);
}

function explainAbsence(devices: readonly DeviceInfo[]): string {
	const gpus = devices.filter(({device}) => device !== 'cpu');
	const reasons = gpus.map(
		({device, name, reason}) => `${device} ${reason === null ? `is ${name}` : `cannot: ${reason}`}`,
	);
	return `there is no such device (${reasons.join(', ')})`;
}

/** What `auto` stands for among these devices. */
export async function chooseBest(devices: readonly DeviceInfo[]): Promise<ChosenDevice> {
	const gpus = devices.filter(({device}) => device !== 'cpu');
	const usable = gpus.find(device => device.usable);
	if (usable) return {device: usable.device, fallbackReason: undefined};
	const isExpected = gpus.some(({details}) => details.module !== undefined) || (await hasNvidiaGpu());
	const reasons = gpus.map(({device, reason}) => `${device} cannot be used: ${reason}`);
	return {device: 'cpu', fallbackReason: isExpected ? reasons.join('; ') : undefined};
}

async function hasNvidiaGpu(): Promise<boolean> {
	return (await exists('/dev/nvidiactl')) || (await exists('/proc/driver/nvidia/version'));
}

/** The dtype for a device where none was asked for: the one that GPUs are made for, and on the CPU the exact one. */
export function defaultDType(device: string): DType {
	return device === 'cpu' ? 'float32' : 'bfloat16';
}

/** @throws ConfigError */
export function checkDType(dtype: DType): DType {
	if (dtypes.includes(dtype)) return dtype;
	throw new ConfigError(`dtype is ${show(dtype)}; accepted: "float32" or "bfloat16"`);
}
