// PyTorch's processes: what they are started with, and what PyTorch says about itself.
import {spawnSync} from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {UsageError} from '../against/options.mjs';
import {Peer} from '../peer.mjs';
import {ComparisonError} from './agreement.mjs';

const python = 'python3';
const program = name => fileURLToPath(new URL(`${name}.py`, import.meta.url));
const installCommand = `${python} -m pip install torch safetensors numpy`;

/** Instruction sets that PyTorch's libraries can be kept to: its products, its own and its compiled kernels, oneDNN's. */
export const instructionSets = {
	avx2: {
		MKL_ENABLE_INSTRUCTIONS: 'AVX2',
		ATEN_CPU_CAPABILITY: 'avx2',
		ONEDNN_MAX_CPU_ISA: 'AVX2',
		// the compiler's cache does not tell graphs for one instruction set from those for another: their losses are NaN
		TORCHINDUCTOR_CACHE_DIR: path.join(os.tmpdir(), `torchinductor-avx2-${os.userInfo().username}`),
	},
};

/**
 * Threads that wait without using a core: one that spins would take it from the other side. Nothing is written beside the programs.
 * A GPU's kernels are compiled by as many processes as PyTorch wants: none of it is timed.
 */
export function peerEnvironment({device, threads, instructions}) {
	return {
		OMP_NUM_THREADS: String(threads),
		MKL_NUM_THREADS: String(threads),
		OMP_WAIT_POLICY: 'PASSIVE',
		KMP_BLOCKTIME: '0',
		...(device === 'cpu' && {TORCHINDUCTOR_COMPILE_THREADS: '1'}),
		PYTHONDONTWRITEBYTECODE: '1',
		...instructionSets[instructions],
	};
}

/** What training.py's `Training` takes, as JSON. */
export function trainingSettings({execution, head, dtype, attention}, {folder, device, recipe}) {
	return JSON.stringify({execution, head, dtype, attention, folder, device, recipe});
}

/** The command that runs a program of this folder. */
export function programCommand(name, args) {
	return [python, program(name), ...args];
}

/** Runs a program of this folder to its end. */
export function runProgram(name, args, environment) {
	const [command, ...rest] = programCommand(name, args);
	return spawnSync(command, rest, {
		encoding: 'utf8',
		env: {...process.env, ...environment},
		stdio: ['ignore', 'pipe', 'pipe'],
	});
}

/**
 * Versions, libraries and instruction sets.
 * @throws UsageError that says how to install PyTorch.
 */
export function readFacts(device, environment) {
	const {status, stdout, stderr, error} = runProgram('facts', [device], {...environment, MKL_VERBOSE: '1'});
	if (error || status !== 0) {
		const reason = error?.message ?? stderr.trim().split('\n').at(-1);
		throw new UsageError(`PyTorch's side does not start (${reason}). To install it:\n  ${installCommand}`);
	}

	const lines = stdout.split('\n');
	const facts = JSON.parse(lines.find(line => line.startsWith('{')));
	const verbose = lines.find(line => line.startsWith('MKL_VERBOSE oneMKL'));
	return {...facts, mkl: verbose?.replace(/^MKL_VERBOSE /, '') ?? null};
}

/** One mode of PyTorch, started from the checkpoint and the batches of a folder. */
export class TorchPeer {
	#peer;

	constructor(mode, {folder, device, recipe, environment}) {
		this.mode = mode;
		const settings = trainingSettings(mode, {folder, device, recipe});
		this.#peer = new Peer(python, [program('peer'), settings], environment);
	}

	get name() {
		return this.mode.name;
	}

	/** Resolves to what the process says about itself. */
	async start() {
		this.facts = await this.#answer(this.#peer.read());
	}

	ask(command, options) {
		return this.#answer(this.#peer.ask(JSON.stringify({command, ...options})));
	}

	close() {
		this.#peer.close();
	}

	// a mode that does not run is not passed over: the headline is the ratio to the fastest of those that were asked for
	async #answer(reply) {
		try {
			return await reply;
		} catch (cause) {
			const end = cause.message.match(/ended with .*$/)?.[0] ?? cause.message;
			throw new ComparisonError(`PyTorch ${this.name} ${end}; --modes can leave it out`, {cause});
		}
	}
}
