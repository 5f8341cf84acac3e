// Programs that the steps run, and how a step ends other than well.
import {spawn} from 'node:child_process';
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

/**
 * Runs a program to its end and returns {code, signal, stdout, stderr}. Its output is shown where `show` says so.
 *
 * @param minutes After which it is killed.
 */
export function run(command, args, {env = {}, minutes = 8, show = false, cwd = root} = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, {
			cwd,
			env: {...process.env, ...env},
			stdio: ['ignore', 'pipe', 'pipe'],
			timeout: minutes * 60_000,
			killSignal: 'SIGKILL',
		});
		const texts = {stdout: '', stderr: ''};
		for (const name of ['stdout', 'stderr']) {
			child[name].setEncoding('utf8').on('data', text => {
				texts[name] += text;
				if (show) process.stderr.write(text);
			});
		}

		child.on('error', reject);
		child.on('close', (code, signal) => resolve({code, signal, ...texts}));
	});
}

/** The same for a program that must succeed: returns its standard output. */
export async function runOrFail(what, command, args, options) {
	const {code, signal, stdout, stderr} = await run(command, args, options);
	if (code === 0) return stdout;
	const lines = `${stdout}\n${stderr}`.trim().split('\n');
	throw new Failure(`${what}: ${signal ?? `exit code ${code}`}: ${lines.slice(-5).join('\n')}`);
}
