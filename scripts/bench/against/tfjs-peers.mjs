// The tfjs processes of one comparison: each backend in each variant, or why it is not there.
import path from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {Peer, PeerFailure} from '../peer.mjs';
import {missingPackages, folder as packageFolder} from '../tfjs/backends.mjs';

const program = fileURLToPath(new URL('../tfjs/peer.mjs', import.meta.url));
const oneThread = {
	TF_NUM_INTRAOP_THREADS: '1',
	TF_NUM_INTEROP_THREADS: '1',
	OMP_NUM_THREADS: '1',
	TF_CPP_MIN_LOG_LEVEL: '2',
};

export const variants = ['stock', 'tuned'];

/** How to install tfjs, or packages beside it, into the folder that the peers run from. */
export function installCommand(packages = []) {
	const folder = path.relative('', packageFolder) || '.';
	return ['npm', 'install', '--prefix', folder, ...(packages.length > 0 ? ['--no-save', ...packages] : [])];
}

export class TfjsPeer {
	#peer;

	constructor(backend, variant, folder) {
		this.backend = backend;
		this.variant = variant;
		const missing = missingPackages(backend);
		if (missing.length > 0) throw new PeerFailure(`not installed: ${installCommand(missing).join(' ')}`);
		this.#peer = new Peer(process.execPath, [program, folder, backend, variant], oneThread);
	}

	get name() {
		return `${this.backend} ${this.variant}`;
	}

	/** Resolves to what the backend says about itself. */
	async start() {
		this.facts = await this.#answer(this.#peer.read());
	}

	async ask(command, options = {}) {
		return this.#answer(this.#peer.ask(JSON.stringify({command, ...options})));
	}

	close() {
		this.#peer?.close();
	}

	async #answer(reply) {
		let answer;
		try {
			answer = await reply;
		} catch (error) {
			throw new PeerFailure(error.message.replace(/^.* ended with/, 'its process ended with'));
		}

		// the first line, without where on this machine it happened
		if (answer.error !== undefined)
			throw new PeerFailure(answer.error.split('\n')[0].replaceAll(packageFolder, '.').trim());
		return answer;
	}
}
