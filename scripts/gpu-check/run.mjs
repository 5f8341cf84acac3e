// Programs that the steps run, and how a step ends other than well.
import {spawn} from 'node:child_process';
import os from 'node:os';
import {root} from '../files.mjs';

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

/** Ends a program and all that it has started. */
function kill(group) {
	try {
		process.kill(-group, 'SIGKILL');
	} catch (error) {
		if (error.code !== 'ESRCH') throw error; // it has ended by itself
	}
}

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
	process.on(signal, () => {
		for (const group of groups) kill(group);
		process.exit(128 + os.constants.signals[signal]);
	});
}

/**
 * Runs a program to its end and returns {stdout, stderr, ending}; ending is '' or says how it ended badly. Its output is
 * shown where `show` says so.
 *
 * @param minutes After which it is killed, with every process that it has started.
 */
export function run(command, args, {env = {}, minutes = 8, show = false, cwd = root} = {}) {
	return new Promise((resolve, reject) => {
		const limit = Math.max(0, Math.min(minutes, minutesLeft()));
		const child = spawn(command, args, {
			cwd,
			env: {...process.env, ...env},
			stdio: ['ignore', 'pipe', 'pipe'],
			detached: true,
		});
		let timedOut = false;
		const timer = setTimeout(() => {
			timedOut = true;
			kill(child.pid);
		}, limit * MINUTE);
		if (child.pid !== undefined) groups.add(child.pid);
		const texts = {stdout: '', stderr: ''};
		for (const name of ['stdout', 'stderr']) {
			child[name].setEncoding('utf8').on('data', text => {
				texts[name] += text;
				if (show) process.stderr.write(text);
			});
		}

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
			const how = timedOut ? `killed after ${limit.toFixed(1)} minutes` : (signal ?? `exit code ${code}`);
			resolve({...texts, ending: code === 0 ? '' : how});
		});
	});
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
