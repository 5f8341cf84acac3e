// `dllm-native build`: builds the addon where this package lies, for installs whose install script did not run.
import {spawnSync} from 'node:child_process';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import type {Command} from 'commander';
import {note} from './output.js';

export function register(command: Command): void {
	command
		.option('--force', 'build from scratch, even when the addon is current')
		.addHelpText('after', '\nNeeds CMake and a C++20 compiler. DLLM_CUDA=auto|on|off decides about the CUDA module.')
		.action(({force}: {readonly force?: boolean}) => runBuild(force ?? false));
}

function runBuild(force: boolean): void {
	const script = fileURLToPath(new URL('../../../scripts/build.mjs', import.meta.url));
	const {status, error} = spawnSync(process.execPath, [script, ...(force ? ['--force'] : [])], {
		stdio: 'inherit',
		env: {...process.env, DLLM_SKIP_BUILD: ''}, // that is for install scripts; here somebody asked
	});
	if (error) throw error;
	if (status !== 0) throw new Error('the native addon was not built; the messages above say why');
	note('The native addon is up to date. `dllm-native info` shows what it can use.');
}
