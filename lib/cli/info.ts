// `dllm-native info`: versions, devices and how the addon was built; also works, and says what to run, without an addon.
import {readFile} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import type {Command} from 'commander';
import type {ChosenDevice, DeviceInfo} from '../devices.js';
import {formatBytes, paint, print, printJson} from './output.js';

type Info = {
	readonly version: string;
	readonly node: string;
	readonly platform: string;
	readonly cpu: string;
	/** Threads the CPU backend uses; null without an addon. */
	readonly threads: number | null;
	readonly addon: {
		readonly loaded: boolean;
		/** Why it is not loaded and what to run, or null. */
		readonly problem: string | null;
		/** build-info.json as the build wrote it, or null. */
		readonly build: unknown;
	};
	readonly devices: readonly DeviceInfo[];
	/** What the device `auto` stands for; null without an addon. */
	readonly auto: ChosenDevice | null;
	/** Environment variables that change what is built or used. */
	readonly environment: Readonly<Record<string, string>>;
};

const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));

export function register(command: Command): void {
	command.option('--json', 'print one JSON object').action(async ({json}: {readonly json?: boolean}) => {
		const info = await collectInfo();
		if (json) printJson(info);
		else printInfo(info);
	});
}

async function readJson(file: string): Promise<unknown> {
	try {
		return JSON.parse(await readFile(file, 'utf8'));
	} catch {
		return null; // absent or damaged: the addon's own problem line says what to run
	}
}

async function collectInfo(): Promise<Info> {
	const manifest = (await readJson(path.join(packageRoot, 'package.json'))) as {version: string};
	const {devices, auto, problem} = await findDevices();
	const threads = devices.find(({device}) => device === 'cpu')?.details.threads;
	return {
		version: manifest.version,
		node: process.version,
		platform: `${process.platform}-${process.arch}`,
		cpu: `${os.cpus()[0]?.model.trim() ?? 'unknown'}, ${os.availableParallelism()} available`,
		threads: typeof threads === 'number' ? threads : null,
		addon: {
			loaded: problem === null,
			problem,
			build: await readJson(path.join(packageRoot, 'build', 'Release', 'build-info.json')),
		},
		devices,
		auto,
		environment: Object.fromEntries(
			Object.entries(process.env).filter(
				(entry): entry is [string, string] => /^(DLLM_|CUDA_VISIBLE_DEVICES$)/.test(entry[0]) && entry[1] !== undefined,
			),
		),
	};
}

async function findDevices(): Promise<Pick<Info, 'devices' | 'auto'> & {readonly problem: string | null}> {
	try {
		const {chooseBest, listDevices} = await import('../devices.js');
		const devices = await listDevices();
		return {devices, auto: await chooseBest(devices), problem: null};
	} catch (error) {
		return {devices: [], auto: null, problem: error instanceof Error ? error.message : String(error)};
	}
}

function printInfo({version, node, platform, cpu, threads, addon, devices, auto, environment}: Info): void {
	const row = (name: string, value: string) => print(`${paint('bold', name.padEnd(12))} ${value}`);
	row('dllm-native', version);
	row('node', `${node} on ${platform}`);
	row('processor', threads === null ? cpu : `${cpu}, ${threads} threads used (DLLM_THREADS changes it)`);
	row('addon', addon.loaded ? 'loaded' : paint('red', 'not available'));
	if (addon.problem !== null) print(addon.problem);
	for (const line of describeBuild(addon.build)) print(`${' '.repeat(13)}${line}`);
	for (const device of devices) row(device.device, describeDevice(device));
	if (auto !== null) {
		const {device, fallbackReason} = auto;
		row('auto', fallbackReason === undefined ? device : `${device}, because ${fallbackReason}`);
	}

	for (const [name, value] of Object.entries(environment)) row('environment', `${name}=${value}`);
}

function describeDevice({name, usable, reason, memory, details}: DeviceInfo): string {
	if (!usable) return `unusable: ${reason ?? 'no reason given'}`;
	const facts = Object.entries(details).flatMap(([key, value]) => (key === 'module' ? [] : [`${key} ${value}`]));
	return [name, ...(memory === null ? [] : [formatBytes(memory)]), ...facts].join(', ');
}

function describeBuild(build: unknown): string[] {
	if (typeof build !== 'object' || build === null) return [];
	const {buildId, compiler, cpuPaths, cuda, builtAt} = build as Record<string, unknown>;
	const {enabled, reason, architectures} = (cuda ?? {}) as Record<string, unknown>;
	const compiledFor = Array.isArray(architectures) && enabled === true ? ` for ${architectures.join(' ')}` : '';
	return [
		`build ${String(buildId)} of ${String(builtAt)}`,
		`compiler ${String(compiler)}, instruction sets ${Array.isArray(cpuPaths) ? cpuPaths.join(', ') : 'unknown'}`,
		`CUDA ${enabled === true ? 'on' : 'off'}${compiledFor}: ${String(reason)}`,
	];
}
