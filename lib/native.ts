// Loads the native addon on first use and explains why when it cannot.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {NativeError} from './errors.js';
import type {NativeModule} from './native-types.js';

// `path` is added by the bindings package: the file that was loaded.
type LoadedModule = NativeModule & {readonly path: string};

const bindings = createRequire(import.meta.url)('bindings') as (options: {
	bindings: string;
	module_root: string;
}) => LoadedModule;

// This file runs as dist/lib/native.js.
const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

let loaded: NativeModule | undefined;

/**
 * The native addon, loaded once per process and worker thread.
 * @throws NativeError if it has not been built, cannot be loaded here, or does not match its build-info.json.
 */
export function loadNative(): NativeModule {
	loaded ??= load();
	return loaded;
}

function load(): NativeModule {
	let native: LoadedModule;
	try {
		native = bindings({bindings: 'dllm_native', module_root: packageRoot});
	} catch (error) {
		throw explain(error);
	}

	checkBuild(native);
	return native;
}

function explain(cause: unknown): NativeError {
	const message = cause instanceof Error ? cause.message : String(cause);
	if (cause instanceof Error && 'tries' in cause) {
		return new NativeError(
			`The native addon of dllm-native has not been built in ${packageRoot}\n` +
				'Run `npx dllm-native build` (it needs CMake and a C++20 compiler). npm 12 skips the install scripts of ' +
				'dependencies, and DLLM_SKIP_BUILD=1 or --ignore-scripts skip the build too.',
			{cause},
		);
	}

	return new NativeError(
		`The native addon of dllm-native cannot be loaded on ${process.platform}-${process.arch} ` +
			`with Node ${process.version}: ${message}\n` +
			'If node_modules was copied from another system or container, build the addon here: ' +
			'`npx dllm-native build --force`.',
		{cause},
	);
}

/** Refuses an addon that another build than the one described beside it left behind. */
function checkBuild(native: LoadedModule): void {
	const infoPath = path.join(path.dirname(native.path), 'build-info.json');
	let expected: unknown;
	try {
		expected = (JSON.parse(readFileSync(infoPath, 'utf8')) as {buildId?: unknown}).buildId;
	} catch (cause) {
		throw new NativeError(`${infoPath} cannot be read. Run \`npx dllm-native build --force\`.`, {cause});
	}

	if (native.buildId !== expected) {
		throw new NativeError(
			`${native.path} is build ${native.buildId}, but build-info.json beside it describes build ${String(expected)}. ` +
				'Run `npx dllm-native build --force`.',
		);
	}
}
