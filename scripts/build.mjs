// Builds the addon: build/Release/dllm_native.node, and build-info.json and, where CUDA can be built, libdllm_cuda.so
// beside it. Does nothing when they are current.
//
//   node scripts/build.mjs [--force] [--werror]
//
// Environment: DLLM_SKIP_BUILD=1, DLLM_CUDA=auto|on|off, DLLM_CUDA_ARCHS, CXX, CUDACXX, CUDAHOSTCXX, CUDA_HOME,
// CUDA_PATH, CUBLAS_ROOT.
import {createHash} from 'node:crypto';
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	realpathSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildEnvironment, jobs, prepareTree, readFacts, requireTools, runTool} from './cmake.mjs';
import {listFiles, root} from './files.mjs';

const require = createRequire(import.meta.url);
const outputFolder = path.join(root, 'build', 'Release');
const addonPath = path.join(outputFolder, 'dllm_native.node');
export const modulePath = path.join(outputFolder, 'libdllm_cuda.so');
const infoPath = path.join(outputFolder, 'build-info.json');

function readJson(file) {
	return JSON.parse(readFileSync(file, 'utf8'));
}

function cudaMode() {
	return process.env.DLLM_CUDA || 'auto';
}

/** A hash of what the addon is made from: sources, build description, tools' versions and options. */
function computeBuildId() {
	const hash = createHash('sha256');
	for (const file of ['CMakeLists.txt', ...listFiles('cmake'), ...listFiles('native')]) {
		const content = readFileSync(path.join(root, file));
		hash.update(`${file.replaceAll(path.sep, '/')} ${content.length}\n`).update(content);
	}

	const {version, dependencies} = readJson(path.join(root, 'package.json'));
	const {platform, arch} = process;
	hash.update(JSON.stringify({version, dependencies, platform, arch, cuda: cudaMode(), ...buildEnvironment()}));
	return hash.digest('hex').slice(0, 16);
}

/** What is built, as build-info.json says. */
export function readBuildInfo() {
	return readJson(infoPath);
}

function isCurrent(buildId) {
	if (!existsSync(addonPath) || !existsSync(infoPath)) return false;
	try {
		const info = readBuildInfo();
		return info.buildId === buildId && existsSync(modulePath) === info.cuda.enabled;
	} catch {
		return false; // a damaged file is rewritten by the build
	}
}

function findCmakeJs() {
	try {
		return require.resolve('cmake-js/bin/cmake-js');
	} catch (error) {
		throw new Error('cmake-js is not installed. Run `npm install` first.', {cause: error});
	}
}

/** Continuous integration of this project: the tests are here. In a dependent's, new warnings must not break the install. */
export function isOurCi() {
	return !['', '0', 'false', undefined].includes(process.env.CI) && existsSync(path.join(root, 'test', 'native'));
}

/** Copies a file into place by rename, so that a process which has the old one mapped keeps it. */
function replaceFile(from, to) {
	copyFileSync(from, `${to}.tmp`);
	renameSync(`${to}.tmp`, to);
}

/** Puts what the tree has built into build/Release; the info file comes last. */
function publish(tree, info) {
	mkdirSync(outputFolder, {recursive: true});
	rmSync(infoPath, {force: true});
	if (info.cuda.enabled) replaceFile(path.join(tree, 'Release', 'libdllm_cuda.so'), modulePath);
	else rmSync(modulePath, {force: true});
	replaceFile(path.join(tree, 'Release', 'dllm_native.node'), addonPath);
	writeFileSync(infoPath, `${JSON.stringify(info, null, '\t')}\n`);
}

/** Builds the addon if it is missing or stale, or always with `force`. Throws an error that says what to do. */
export function build({force = false, werror = isOurCi()} = {}) {
	if (process.env.DLLM_SKIP_BUILD === '1') {
		console.error('dllm-native: native build skipped (DLLM_SKIP_BUILD=1)');
		return;
	}

	const buildId = computeBuildId();
	if (!force && isCurrent(buildId)) return;

	const start = Date.now();
	requireTools();
	const cmakeJs = findCmakeJs();
	const options = [`--CDDLLM_CUDA=${cudaMode()}`, `--CDDLLM_WERROR=${werror ? 'ON' : 'OFF'}`];
	const tree = prepareTree('addon', options, {clean: force});
	const common = [cmakeJs, '--directory', root, '--out', tree, '--log-level', 'warn'];
	runTool('Configuring with CMake', process.execPath, [
		...common,
		...options,
		`--CDDLLM_BUILD_ID=${buildId}`,
		'configure',
	]);
	runTool('Compiling the addon', process.execPath, [...common, '--parallel', String(jobs), 'build']);

	const {version} = readJson(path.join(root, 'package.json'));
	const {platform, arch} = process;
	const facts = readFacts(tree);
	const seconds = (Date.now() - start) / 1000;
	publish(tree, {buildId, version, ...facts, platform, arch, builtAt: new Date().toISOString(), seconds});
	const {enabled, reason, architectures} = facts.cuda;
	const cuda = enabled ? `with CUDA for ${architectures.join(' ')}` : `without CUDA (${reason})`;
	console.error(`dllm-native: built ${path.relative(root, addonPath)} ${cuda} in ${seconds.toFixed(0)} s`);
}

function main(args) {
	const unknown = args.find(argument => !['--force', '--werror'].includes(argument));
	if (unknown !== undefined) {
		console.error(`build: unknown option ${unknown}; it takes --force and --werror`);
		process.exitCode = 2;
		return;
	}

	try {
		build({force: args.includes('--force'), ...(args.includes('--werror') ? {werror: true} : {})});
	} catch (error) {
		console.error(`dllm-native: ${error.message}`);
		process.exitCode = 1;
	}
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
