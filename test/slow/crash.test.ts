// A thousand kills and every failing call while a run is saved. About five minutes on two cores.
import test from 'ava';
import {killRepeatedly} from '../support/crash.js';
import {failInTurn} from '../support/crash-faults.js';

test.serial('a run that is killed a thousand times loads as one of its last two states each time', async t => {
	t.timeout(60 * 60_000);
	await Promise.all([11, 12].map(seed => killRepeatedly(t, 500, seed)));
});

test.serial('whichever call fails while a checkpoint is replaced by one of the same step, it stays', async t => {
	t.timeout(30 * 60_000);
	await failInTurn(t, [{scenario: 'again', part: '0/1'}]);
});
