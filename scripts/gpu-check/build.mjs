// Builds what a GPU is checked and measured with, as a process of its own, which a time limit can end with all its compilers:
//
//   node scripts/gpu-check/build.mjs FOLDER on|off TARGET…
//
// The addon as it is installed, dist/, and in a tree of their own targets of CMake; with the CUDA module or without it.
import {build, readBuildInfo} from '../build.mjs';
import {generatorArguments, jobs, prepareTree, runTool} from '../cmake.mjs';
import {compile} from '../compile.mjs';
import {root} from '../files.mjs';

function buildTree(folder, cuda, targets) {
	const options = ['-DDLLM_ADDON=OFF', `-DDLLM_CUDA=${cuda}`, '-DDLLM_TESTS=ON', '-DDLLM_BENCH=ON'];
	const tree = prepareTree(folder, options);
	const id = `-DDLLM_BUILD_ID=${readBuildInfo().buildId}`; // else the module is refused
	runTool('Configuring the checks', 'cmake', ['-S', root, '-B', tree, ...generatorArguments(), ...options, id]);
	runTool('Compiling the checks', 'cmake', ['--build', tree, '--parallel', String(jobs), '--target', ...targets]);
}

const [folder, cuda, ...targets] = process.argv.slice(2);
// Warnings of compilers that our own CI does not have must not keep the other steps from their say: they are no errors here.
build({werror: false});
buildTree(folder, cuda, targets);
compile();
