// Crashes and full disks while a run is saved: whatever happens, a whole checkpoint stays. More of them are in test/slow/.
import test from 'ava';
import {killRepeatedly} from './support/crash.js';
import {failInTurn} from './support/crash-faults.js';

test.serial('whichever call to the system fails while a run is saved, the checkpoint before stays', async t => {
	await failInTurn(t, [
		{scenario: 'next', part: '0/1'},
		{scenario: 'again', part: '0/3'},
	]);
});

test.serial('a run that is killed while it saves loads as one of its last two states', async t => {
	await Promise.all([1, 2].map(seed => killRepeatedly(t, 50, seed)));
});
