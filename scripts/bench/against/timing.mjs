// Rounds of both sides in turn: ours, a peer, ours, the next peer. Ratios are taken within a pair, so that a machine that is busy for
// a while slows both of its halves.
import {PeerFailure} from '../peer.mjs';
import {median, spread, summarize} from '../statistics.mjs';

/**
 * @param visits {ours(): milliseconds[], peers: [{name, visit(): milliseconds[]}]}
 * @param save function of the same as is returned, after every round but the last
 * @returns ours, and by name each peer's summary with every round's median, or the message that it ended with
 */
export async function timeInTurn({ours, peers}, rounds, report, save = () => {}) {
	const all = {ours: [], peers: new Map(peers.map(({name}) => [name, {pairs: [], failure: undefined}]))};
	for (let round = 1; round <= rounds; round++) {
		for (const {name, visit} of peers) {
			const result = all.peers.get(name);
			if (result.failure !== undefined) continue;
			report(`round ${round} of ${rounds}, ${name}`);
			const own = await ours();
			try {
				const theirs = await visit();
				all.ours.push(own);
				result.pairs.push({own, theirs});
			} catch (error) {
				if (!(error instanceof PeerFailure)) throw error;
				result.failure = error.message;
			}
		}

		if (all.ours.length === 0) all.ours.push(await ours());
		if (round < rounds) save(describeTimes(all));
	}

	return describeTimes(all);
}

function describeTimes({ours, peers}) {
	return {
		ours: describeRounds(ours),
		peers: new Map([...peers].map(([name, result]) => [name, summarizePairs(result)])),
	};
}

function describeRounds(rounds) {
	const count = rounds.reduce((sum, {length}) => sum + length, 0);
	return {...summarize(rounds), count, rounds: rounds.map(median)};
}

function summarizePairs({pairs, failure}) {
	if (failure !== undefined) return {failure};
	const ratios = pairs.map(({own, theirs}) => median(theirs) / median(own));
	return {
		milliseconds: describeRounds(pairs.map(({theirs}) => theirs)),
		ratio: {...spread(ratios), rounds: ratios},
	};
}
