// Checks formatting, the linter's rules and the bounds that no formatter knows; prints a size table.
//
//   node scripts/lint.mjs [--fix]
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {listFiles, root} from './files.mjs';

const require = createRequire(import.meta.url);
const nativeSource = /\.(h|cpp|cu|cuh)$/;
const nativeFiles = [...listFiles('native', nativeSource), ...listFiles('test/native', nativeSource)];
const fix = process.argv.includes('--fix');

function succeeds(command, args) {
	return spawnSync(command, args, {cwd: root, stdio: 'inherit'}).status === 0;
}

function checkFormat() {
	const biome = require.resolve('@biomejs/biome/bin/biome');
	const clangFormat = require('clang-format').getNativeBinary();
	return [
		succeeds(process.execPath, [biome, 'check', fix ? '--write' : '--error-on-warnings', '.']),
		succeeds(clangFormat, ['--style=file', ...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...nativeFiles]),
	].every(Boolean);
}

// Rules about single lines: where the pattern may not stand.
const gates = [
	{
		name: 'no #if in native/ outside rng.h (files for one platform are chosen by CMake)',
		pattern: /^\s*#\s*(if|ifdef|ifndef|elif)\b/,
		applies: file => file.startsWith('native/') && file !== 'native/rng.h',
	},
	{
		name: 'no macros but CUDA_CHECK, those of test.h, the host/device qualifier of rng.h and the qualifiers of the emulated GPU',
		pattern: /^\s*#\s*define\b(?!\s+CUDA_CHECK\b)/,
		applies: file =>
			!['native/rng.h', 'test/native/test.h', 'test/native/emulated/include/qualifiers.h'].includes(file),
	},
	{
		name: 'Node-API headers only in native/bindings/',
		pattern: /^\s*#\s*include\s*[<"](napi|node_api|js_native_api|uv|node|v8)\b/,
		applies: file => !file.startsWith('native/bindings/'),
	},
];

function readLines(file) {
	return readFileSync(path.join(root, file), 'utf8').trimEnd().split('\n');
}

function checkGates() {
	let broken = 0;
	for (const file of nativeFiles) {
		for (const {name, pattern, applies} of gates) {
			if (!applies(file)) continue;
			for (const [index, line] of readLines(file).entries()) {
				if (!pattern.test(line)) continue;
				console.error(`${file}:${index + 1}: ${name}\n    ${line.trim()}`);
				broken++;
			}
		}
	}

	return broken === 0;
}

function printSizes() {
	const source = /\.(h|cpp|cu|cuh|ts|mjs|cmake)$/;
	const folders = ['native', 'lib', 'test', 'scripts', 'cmake'];
	const sizes = folders
		.flatMap(folder => listFiles(folder, source))
		.map(file => ({file, lines: readLines(file).length}));
	console.log('\nsize         files    lines');
	for (const folder of folders) {
		const own = sizes.filter(({file}) => file.startsWith(`${folder}/`));
		const lines = own.reduce((sum, size) => sum + size.lines, 0);
		console.log(`${folder.padEnd(12)} ${String(own.length).padStart(5)} ${String(lines).padStart(8)}`);
	}

	console.log('largest:');
	for (const {file, lines} of sizes.toSorted((a, b) => b.lines - a.lines).slice(0, 8)) {
		console.log(`${String(lines).padStart(6)}  ${file}`);
	}
}

const results = [checkFormat(), checkGates()];
printSizes();
process.exitCode = results.every(Boolean) ? 0 : 1;
