// What the addon build and the native tests share: finding the tools, and keeping a build tree that fits its options.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {root} from './files.mjs';

export const jobs = os.availableParallelism();

const installCommands = {
	linux: [
		'Debian, Ubuntu:  sudo apt-get install cmake g++ make',
		'Fedora, RHEL:    sudo dnf install cmake gcc-c++ make',
		'Arch:            sudo pacman -S cmake gcc make',
		'Alpine:          sudo apk add cmake g++ make',
	],
	darwin: ['xcode-select --install', 'brew install cmake'],
};

function isInstalled(command) {
	return spawnSync(command, ['--version'], {stdio: 'ignore'}).status === 0;
}

function missingTools() {
	const missing = [];
	const version = /cmake version (\d+)\.(\d+)/.exec(spawnSync('cmake', ['--version'], {encoding: 'utf8'}).stdout ?? '');
	if (!version) missing.push('CMake');
	else if (Number(version[1]) * 1000 + Number(version[2]) < 3018) {
		missing.push(`CMake 3.18 or newer (found ${version[1]}.${version[2]})`);
	}

	if (!['g++', 'clang++'].some(isInstalled)) missing.push('a C++20 compiler (g++ or clang++)');
	if (!['ninja', 'make'].some(isInstalled)) missing.push('make or ninja');
	return missing;
}

/** Throws an error that says what to install where a build tool is missing. */
export function requireTools() {
	const missing = missingTools();
	if (missing.length === 0) return;
	const commands = installCommands[process.platform] ?? ['dllm-native builds on Linux and macOS; on Windows use WSL.'];
	throw new Error(
		`The native code cannot be built here. Missing: ${missing.join(', ')}.\nTo install:\n  ${commands.join('\n  ')}`,
	);
}

/** The environment variables that CMake and our build description read. */
export function buildEnvironment() {
	const {CXX, CXXFLAGS, CUDACXX, CUDAHOSTCXX, CUDA_HOME, CUDA_PATH, CUBLAS_ROOT, DLLM_CUDA_ARCHS} = process.env;
	return {CXX, CXXFLAGS, CUDACXX, CUDAHOSTCXX, CUDA_HOME, CUDA_PATH, CUBLAS_ROOT, DLLM_CUDA_ARCHS};
}

/**
 * Prepares the build tree `folder` for these CMake options and returns its path. A tree made with other options, another
 * compiler or in another place is removed, because CMake would keep the old answers; so is any tree with `clean`.
 */
export function prepareTree(folder, options, {clean = false} = {}) {
	const key = JSON.stringify({root, options, ...buildEnvironment(), ninja: isInstalled('ninja')}, null, '\t');
	const tree = path.join(root, '.cmake', folder);
	const keyFile = path.join(tree, 'tree-key.json');
	if (clean || !existsSync(keyFile) || readFileSync(keyFile, 'utf8') !== key) {
		rmSync(tree, {recursive: true, force: true});
		mkdirSync(tree, {recursive: true});
		writeFileSync(keyFile, key);
	}

	return tree;
}

/** The generator that cmake-js also prefers. */
export function generatorArguments() {
	return isInstalled('ninja') ? ['-G', 'Ninja'] : [];
}

/** What CMake found when it configured the tree, as cmake/report.cmake wrote it. */
export function readFacts(tree) {
	const lines = readFileSync(path.join(tree, 'build-facts.txt'), 'utf8').trim().split('\n');
	const facts = Object.fromEntries(lines.map(line => line.split(/=(.*)/s, 2)));
	return {
		compiler: facts.compiler,
		cpuPaths: facts.cpuPaths.split(' '),
		cuda: {
			enabled: facts.cuda === 'on',
			reason: facts.cudaReason,
			architectures: facts.cudaArchitectures.split(' ').filter(Boolean),
		},
	};
}

/**
 * Runs a build command with its output shown (on standard error: ours is for results), and throws if it fails.
 *
 * @param environment Variables beside those of this process.
 */
export function runTool(what, command, args, environment = {}) {
	const env = {...process.env, ...environment};
	delete env.MAKEFLAGS; // node-gyp runs us from make, whose job slots are not ours
	delete env.MAKELEVEL;
	const {status, signal, error} = spawnSync(command, args, {cwd: root, env, stdio: ['inherit', 2, 2]});
	if (error) throw error;
	if (status !== 0) throw new Error(`${what} failed (${signal ?? `exit code ${status}`}).`);
}
