// Programs that scripts run to their end or to a time limit, each a process group of its own, so that nothing which they start
// outlives them or us; and how a step that runs them ends other than well.
import {spawn} from 'node:child_process';
import os from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import {root} from './files.mjs';

/** A step that this machine cannot do. */
export class Skip extends Error {}

/** A step that found something wrong; `figures` go into the report. */
export class Failure extends Error {
	constructor(message, figures) {
		super(message);
		this.figures = figures;
	}
}

const MINUTE = 60_000;

/** Milliseconds in which a program that is told to end may end those in groups of their own: ours, and the compilers of ninja. */
const GRACE = 3000;

/** The same for programs of a program, which is itself in its grace. */
const INNER_GRACE = 1000;

/** Process groups of programs that are running. */
const groups = new Set();

let deadline = Number.POSITIVE_INFINITY;

/** From now on no program runs for longer than these minutes from now. */
export function endWithin(minutes) {
	deadline = performance.now() + minutes * MINUTE;
}

/** Minutes until then. */
export function minutesLeft() {
	return (deadline - performance.now()) / MINUTE;
}

/** Sends a signal, or none with 0; returns whether the group still had a process. */
function signalGroup(group, signal) {
	try {
		process.kill(-group, signal);
		return true;
	} catch (error) {
		if (!['ESRCH', 'EPERM'].includes(error.code)) throw error; // macOS answers EPERM where all of it has ended
		return false;
	}
}

async function endGroup(group, grace) {
	const end = performance.now() + grace;
	signalGroup(group, 'SIGTERM');
	while (signalGroup(group, 0) && performance.now() < end) await sleep(20);
	signalGroup(group, 'SIGKILL');
}

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
	process.once(signal, async () => {
		await Promise.all([...groups].map(group => endGroup(group, INNER_GRACE)));
		process.exit(128 + os.constants.signals[signal]);
	});
}

/**
 * Starts a program: {child, ended}; `ended` resolves to how it ended, '' or what was wrong with that.
 *
 * @param minutes After which it is ended, with every process that it has started.
 */
export function start(
	command,
	args,
	{env = {}, minutes = 8, cwd = root, stdio = ['ignore', 'inherit', 'inherit']} = {},
) {
	const limit = Math.max(0, Math.min(minutes, minutesLeft()));
	const child = spawn(command, args, {cwd, env: {...process.env, ...env}, stdio, detached: true});
	let late = false;
	const stop = async () => {
		late = true;
		await endGroup(child.pid, GRACE);
		for (const stream of [child.stdout, child.stderr]) stream?.destroy(); // a process in another group may hold them open
	};

	const ended = new Promise((resolve, reject) => {
		// setTimeout takes no more than 2^31 - 1
		const timer = setTimeout(stop, Math.min(limit * MINUTE, 2 ** 31 - 1));
		if (child.pid !== undefined) groups.add(child.pid);
		const end = () => {
			clearTimeout(timer);
			groups.delete(child.pid);
		};

		child.on('error', error => {
			end();
			reject(error);
		});
		child.on('close', (code, signal) => {
			end();
			const how = late ? `ended after the limit of ${limit.toFixed(1)} minutes` : (signal ?? `exit code ${code}`);
			resolve(code === 0 && !late ? '' : how);
		});
	});
	return {child, ended};
}

/**
 * Runs a program to its end and returns {stdout, stderr, ending}; ending is '' or says how it ended badly. Its output is
 * shown where `show` says so.
 */
export async function run(command, args, {show = false, ...options} = {}) {
	const {child, ended} = start(command, args, {...options, stdio: ['ignore', 'pipe', 'pipe']});
	const texts = {stdout: '', stderr: ''};
	for (const name of ['stdout', 'stderr']) {
		child[name].setEncoding('utf8').on('data', text => {
			texts[name] += text;
			if (show) process.stderr.write(text);
		});
	}

	const ending = await ended;
	return {...texts, ending};
}

/** The same for a program that must succeed: returns its standard output. */
export async function runOrFail(what, command, args, options) {
	const {ending, stdout, stderr} = await run(command, args, options);
	if (ending === '') return stdout;
	const lines = `${stdout}\n${stderr}`.trim().split('\n');
	throw new Failure(`${what}: ${ending}: ${lines.slice(-5).join('\n')}`);
}

/** Runs tasks, each a function that returns a promise, so many at a time; resolves to what they resolve to, in their order. */
export async function runSeveral(width, tasks) {
	const results = [];
	let next = 0;
	const work = async () => {
		while (next < tasks.length) {
			const index = next++;
			results[index] = await tasks[index]();
		}
	};

	await Promise.all(Array.from({length: width}, work));
	return results;
}
