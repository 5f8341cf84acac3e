// Test vectors of awkward shapes from five more seeds, made here by the PyTorch reference in float64.
// About a minute; on its own: npx ava dist/test/slow/vectors.test.js
import {execFile, execFileSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {packageRoot} from '../support/cli.js';
import {temporaryFolder} from '../support/folders.js';
import {checkModelVector, checkOptimizerVector} from '../support/vector-checks.js';
import {modelVectors} from '../support/vectors.js';

const shared = process.env.DLLM_SHARED ?? path.join(packageRoot, '..', 'shared');
const script = path.join(shared, 'reference', 'make_vectors.py');
const python = process.env.PYTHON ?? 'python3';

function obstacle(): string | undefined {
	if (!existsSync(script)) return `${script} does not exist; DLLM_SHARED names the folder with it`;
	try {
		execFileSync(python, ['-c', 'import torch, safetensors, numpy'], {stdio: 'ignore'});
		return undefined;
	} catch {
		return `${python} has no torch, safetensors and numpy`;
	}
}

const problem = obstacle();
if (problem) console.error(`SKIPPED: ${problem}`);

for (const seed of [1, 2, 3, 4, 5]) {
	(problem ? test.skip : test)(`vectors of odd shapes, seed ${seed}`, async t => {
		const folder = await temporaryFolder(t);
		await promisify(execFile)(python, [script, folder, '--variant', 'odd', '--seed', String(seed)]);
		for (const name of modelVectors) await checkModelVector(t, path.join(folder, name));
		await checkOptimizerVector(t, path.join(folder, 'gpt2-adamw'));
	});
}
