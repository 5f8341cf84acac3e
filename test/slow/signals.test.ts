// A hundred interruptions of a training run. About five minutes on two cores.
import test from 'ava';
import {interruptRepeatedly} from '../support/signals.js';

test('a run that is interrupted a hundred times, anywhere, continues to the same end each time', async t => {
	t.timeout(60 * 60_000);
	await Promise.all([11, 12].map(seed => interruptRepeatedly(t, 50, seed)));
});
