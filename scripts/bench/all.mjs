// Runs every benchmark whose result is kept, writes its report to docs/benchmarks/, and the pages from all of them.
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {root} from '../files.mjs';
import {choose, parseOptions} from './against/options.mjs';
import {folder, reportFile, writePage} from './docs/page.mjs';
import {runs} from './docs/runs.mjs';

const main = fileURLToPath(new URL('main.mjs', import.meta.url));

export async function run(args) {
	const {only} = parseOptions(args, {only: {type: 'string', default: 'all'}});
	const names = choose(
		'only',
		only,
		runs.map(({file}) => file),
	);
	mkdirSync(folder, {recursive: true});
	for (const item of runs.filter(({file}) => names.includes(file))) {
		const {bench, args: own, environment} = item;
		const {status} = spawnSync(
			process.execPath,
			[main, bench, ...own, '--out', path.relative(root, reportFile(item))],
			{
				cwd: root,
				stdio: 'inherit',
				env: {...process.env, ...environment},
			},
		);
		if (status !== 0) throw new Error(`${item.file} ended with exit code ${status}`);
	}

	await writePage();
}
