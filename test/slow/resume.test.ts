// Runs that were stopped at 50 steps and resumed in new processes equal the uninterrupted run, bit for bit.
// On its own: npx ava --timeout=30m dist/test/slow/resume.test.js
import test from 'ava';
import {checkResume} from '../support/resume.js';

for (const kind of ['masked', 'next_token'] as const) {
	test.serial(`${kind} with accumulation, average and dropout: resumed from 50 steps on 1, 2 and 4 threads`, t => {
		t.timeout(30 * 60_000);
		return checkResume(t, {kind, threads: [1, 2, 4], count: 50});
	});
}
