// Saves a run with one call to the system after another failing, and checks what each left and in which order they came.
import {execFile} from 'node:child_process';
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type {ExecutionContext} from 'ava';
import type {FaultReport} from './fault-child.js';
import {type Call, compileFaults, faultEnvironment} from './faults.js';
import {temporaryFolder} from './folders.js';

const child = fileURLToPath(new URL('fault-child.js', import.meta.url));

/** What is saved, and which part of the calls fail in turn: '0/3' is the first of three. */
type Part = {readonly scenario: 'next' | 'again'; readonly part: string};

export async function failInTurn(t: ExecutionContext, parts: readonly Part[]): Promise<void> {
	const folder = await temporaryFolder(t);
	const library = await compileFaults(folder);
	if (library === undefined) {
		t.pass('skipped');
		return;
	}

	const reports = await Promise.all(parts.map(part => runFaults(library, folder, part)));
	for (const [index, {trace, cases, failures}] of reports.entries()) {
		t.deepEqual(failures, []);
		t.true(trace.length > 50 && cases > 20);
		t.log(`${JSON.stringify(parts[index])}: ${cases} failures of ${trace.length} calls`);
		checkOrder(t, trace);
	}
}

async function runFaults(library: string, folder: string, {scenario, part}: Part): Promise<FaultReport> {
	const work = path.join(folder, scenario);
	await mkdir(work);
	const {stdout} = await promisify(execFile)(process.execPath, [child, work, scenario, part], {
		env: {...process.env, ...faultEnvironment(library)},
		maxBuffer: 2 ** 26,
	});
	return JSON.parse(stdout) as FaultReport;
}

/** What is renamed has been flushed after its last write, and its name is flushed before the next thing is renamed. */
function checkOrder(t: ExecutionContext, trace: readonly Call[]): void {
	const dirty = new Set<string>();
	let unflushed: string | undefined;
	const targets: string[] = [];
	for (const {kind, paths} of trace) {
		const [file = '', target = ''] = paths;
		if (kind === 'create' || kind === 'write') dirty.add(file);
		if (kind === 'sync') {
			dirty.delete(file);
			if (unflushed !== undefined && path.dirname(unflushed) === file) unflushed = undefined;
		}

		if (kind !== 'rename') continue;
		const own = [...dirty].filter(name => name === file || name.startsWith(`${file}/`));
		t.deepEqual(own, [], `${target} is renamed before it is flushed`);
		// moving the old folder aside needs no flush of its own: it comes back unless the next rename is made
		t.true(unflushed === undefined || /\.old-/.test(unflushed), `${unflushed} is not flushed before ${target}`);
		unflushed = target;
		if (!file.endsWith('step-1')) targets.push(path.basename(target));
	}

	t.is(targets.at(-1), 'latest', 'the pointer comes last; only what is not needed any more is removed after it');
	t.true(targets.indexOf('step-2') < targets.indexOf('best') || !targets.includes('best'));
	t.true(targets.includes('step-2') && targets.includes('config.json'));
}
