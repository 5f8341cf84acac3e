// A peer in a child process that answers each line of input with one line of JSON.
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';

/** What a peer says when it cannot go on; the comparison goes on without it. */
export class PeerFailure extends Error {}

export class Peer {
	#child;
	#lines;

	constructor(command, args, environment = {}) {
		this.#child = spawn(command, args, {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, ...environment}});
		this.#lines = createInterface({input: this.#child.stdout})[Symbol.asyncIterator]();
		this.failed = new Promise((_, reject) => {
			this.#child.once('error', reject);
			this.#child.once('exit', (code, signal) => {
				const end = signal === null ? `exit code ${code}` : signal;
				if (code !== 0) reject(new Error(`${command} ${args.join(' ')} ended with ${end}`));
			});
		});
		this.failed.catch(() => {}); // reported by whoever waits for an answer
		this.#child.stdin.on('error', () => {}); // so is a pipe whose reader has ended
	}

	async read() {
		const {value, done} = await Promise.race([this.#lines.next(), this.failed]);
		if (done) return this.failed;
		return JSON.parse(value);
	}

	ask(line) {
		this.#child.stdin.write(`${line}\n`);
		return this.read();
	}

	close() {
		this.#child.stdin.end();
	}
}
