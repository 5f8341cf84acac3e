// Compiles the TypeScript of lib/ and test/ into dist/, and removes from dist/ what has no source any more.
import {chmodSync, existsSync, realpathSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {runTool} from './cmake.mjs';
import {listFiles, root} from './files.mjs';

function findCompiler() {
	try {
		return createRequire(import.meta.url).resolve('typescript/bin/tsc');
	} catch {
		return undefined;
	}
}

/** Compiles what changed. Where TypeScript is not installed, an existing dist/ is used as it is. */
export function compile() {
	const compiler = findCompiler();
	const cli = path.join(root, 'dist', 'lib', 'cli', 'main.js');
	if (!compiler) {
		if (!existsSync(cli)) throw new Error('TypeScript is not installed. Run `npm install` (not with --omit=dev).');
		console.error('dllm-native: TypeScript is not installed; using dist/ as it is');
		return;
	}

	for (const file of listFiles('dist', /\.(js|d\.ts)$/)) {
		const source = path.relative('dist', file).replace(/\.(js|d\.ts)$/, '.ts');
		if (!existsSync(path.join(root, source))) rmSync(path.join(root, file));
	}

	runTool('Compiling TypeScript', process.execPath, [compiler, '--project', path.join(root, 'tsconfig.json')]);
	chmodSync(cli, 0o755); // tsc does not keep the mode that npx needs
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
	try {
		compile();
	} catch (error) {
		console.error(`dllm-native: ${error.message}`);
		process.exitCode = 1;
	}
}
