// Runs that were stopped, saved and resumed in a new process equal the uninterrupted run, bit for bit.
import test from 'ava';
import {checkResume} from './support/resume.js';

for (const kind of ['masked', 'next_token'] as const) {
	test.serial(`${kind} with accumulation, average and dropout: resumed from 3 steps on 1, 2 and 4 threads`, t =>
		checkResume(t, {kind, threads: [1, 2, 4], count: 3}),
	);
}
