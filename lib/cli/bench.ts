// `dllm-native bench`: the comparison with another library, as the program in scripts/bench makes it.
import {type Command, Option} from 'commander';
import {UsageError} from './exit.js';

type BenchModule = {run(args: readonly string[], command: string): Promise<void>};

type Flags = {readonly against: 'tfjs'} & Readonly<Record<string, string | boolean | undefined>>;

const about = `
The same model is trained and sampled by dllm-native and by tfjs, one thread each. Loss, gradients, losses of training steps and
sampled tokens are compared first; then both are timed in turn. tfjs is not installed with this package: --install does it.`;

export function register(command: Command): void {
	command
		.addOption(new Option('--against <library>', 'what to compare with').choices(['tfjs']).default('tfjs'))
		.option('--install', 'install tfjs first, beside the benchmark (about 100 MB)')
		.option(
			'--sizes <names>',
			'models: all, or some of tiny,small,context128,baby,baby-batch12 (default: the first three)',
		)
		.option('--backends <names>', 'backends of tfjs: all, or some of cpu,wasm,tensorflow,webgpu (default: all)')
		.option('--rounds <integer>', 'rounds, in which both sides take turns (default: 5)')
		.option('--steps <integer>', 'most steps or samples of a side in a round (default: 20)')
		.option('--seconds <integer>', 'longest turn; a step that has begun is finished (default: 5)')
		.option('--check', 'only compare the numbers, time nothing')
		.option('--out <file>', 'write the report as JSON to this file, and a chart beside it (.svg)')
		.option('--json', 'print the report as one JSON object')
		.addHelpText('after', about)
		.action(async ({against, ...flags}: Flags) => {
			const args = Object.entries(flags).flatMap(([name, value]) =>
				value === true ? [`--${name}`] : [`--${name}`, String(value)],
			);
			const program = new URL(`../../../scripts/bench/${against}.mjs`, import.meta.url);
			const {run} = (await import(program.href)) as BenchModule;
			await run(args, `npx dllm-native bench --against ${against}`).catch(asUsageError);
		});
}

// the benchmark's own programs know nothing of this command line's errors
function asUsageError(error: Error & {readonly exitCode?: number}): never {
	throw error.exitCode === undefined ? error : new UsageError(error.message);
}
