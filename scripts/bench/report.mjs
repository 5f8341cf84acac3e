// Writes docs/benchmarks/README.md and the numbers of README.md from the reports in docs/benchmarks/.
import path from 'node:path';
import {root} from '../files.mjs';
import {folder, writePage} from './docs/page.mjs';

export async function run() {
	const reports = await writePage();
	console.log(`${path.relative(root, folder)}/README.md and README.md: ${reports.size} reports`);
}
