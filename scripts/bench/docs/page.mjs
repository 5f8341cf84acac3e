// docs/benchmarks/README.md and the numbers of the README, both from the reports in docs/benchmarks/: nothing is typed by hand.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {root} from '../../files.mjs';
import {headlines} from './headlines.mjs';
import {runs} from './runs.mjs';

export const folder = path.join(root, 'docs', 'benchmarks');

export function reportFile({file}) {
	return path.join(folder, `${file}.json`);
}

function readReports() {
	return new Map(
		runs
			.filter(run => existsSync(reportFile(run)))
			.map(run => [run.file, JSON.parse(readFileSync(reportFile(run), 'utf8'))]),
	);
}

/** Where the report was written is of no interest to who repeats it. */
function withoutOutput(command) {
	return command.replace(/ --out \S+/, '');
}

function headlineTable(reports) {
	return [
		'| what | result | rounds between | command |',
		'|---|---|---|---|',
		...headlines(reports).map(
			({what, result, spread, command}) => `| ${what} | ${result} | ${spread} | \`${withoutOutput(command)}\` |`,
		),
	];
}

/** Replaces what stands between the two marks of README.md. */
function fillReadme(lines) {
	const file = path.join(root, 'README.md');
	const text = readFileSync(file, 'utf8');
	const marks = /(<!-- benchmarks -->\n)[\s\S]*?(<!-- end of benchmarks -->)/;
	if (!marks.test(text)) throw new Error('README.md has no <!-- benchmarks --> … <!-- end of benchmarks -->');
	writeFileSync(
		file,
		text.replace(marks, (_, begin, end) => `${begin}${lines.join('\n')}\n${end}`),
	);
}

/** Writes both files anew. */
export async function writePage() {
	const reports = readReports();
	const summary = headlineTable(reports);
	const lines = [
		'# Benchmarks',
		'',
		'Written by `npm run bench -- report` from the reports in this folder; `npm run bench -- all` makes them anew (about an hour, on',
		'a machine that does nothing else) and needs PyTorch, numpy and tfjs. Ratios are medians over rounds in which both sides take',
		'turns; the spread is that of the rounds.',
		'',
		...summary,
	];
	if (existsSync(path.join(folder, 'tfjs.svg'))) lines.push('', '![Training and sampling against tfjs](tfjs.svg)');
	for (const {file, bench, title, about} of runs) {
		const report = reports.get(file);
		if (report === undefined) continue;
		const {table} = await import(`../${bench}.mjs`);
		lines.push('', `## ${title}`, '', about, '', '```', table(report), '```');
	}

	writeFileSync(path.join(folder, 'README.md'), `${lines.join('\n')}\n`);
	fillReadme(summary);
	return reports;
}
