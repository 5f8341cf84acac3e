// The native tests named gpu_…: every op, vectors, training, sampling, resuming, graphs, memory that runs out.
import {Failure, run} from './run.mjs';

/** A dry run leaves out all op cases but a few of each op. */
export async function runTests({built, dryRun}) {
	const filters = ['gpu_', '--without', dryRun ? 'gpu_ops_in' : 'gpu_few_ops'];
	const {code, signal, stdout} = await run(built.tests, filters, {env: built.env, show: true});
	const counts = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(stdout);
	if (!counts) throw new Failure(`the tests ended without counts: ${signal ?? `exit code ${code}`}`);
	const [passed, failed, skipped] = counts.slice(1).map(count => Number(count ?? 0));
	const seconds = Object.fromEntries(
		[...stdout.matchAll(/^(gpu_\w+) ok \(([\d.]+) s\)$/gm)].map(([, name, time]) => [name, Number(time)]),
	);
	const figures = {passed, failed, skipped, tests: seconds};
	if (code !== 0 || failed + skipped > 0 || passed === 0) {
		const lines = stdout.split('\n').filter(line => / (FAILED|SKIPPED)|^ {4}/.test(line));
		throw new Failure(`${failed} failed, ${skipped} skipped\n${lines.join('\n')}`, figures);
	}

	return figures;
}
