// One size: our model and every tfjs process on it; first whether they agree, then how long they take.
import path from 'node:path';
import {PeerFailure} from '../peer.mjs';
import {compareGradients, compareLosses, compareTokens} from './agreement.mjs';
import {withFolder} from './folder.mjs';
import {createOurs} from './ours.mjs';
import {modelConfig, recipe, sizes} from './sizes.mjs';
import {TfjsPeer, variants} from './tfjs-peers.mjs';
import {timeInTurn} from './timing.mjs';

/** Steps whose losses are compared; they warm both sides up as well. */
const AGREEMENT = {steps: 10, least: 3, seconds: 20};

/** Our training before the sampled tokens are compared: a model that knows nothing finds every choice a tie. */
const LEARNING = {steps: 200, seconds: 5};

/**
 * @param options {backends, isExplicit, rounds, steps, seconds, timed}; `isExplicit`: the backends were asked for by name
 * @param report function of a line about the progress
 */
export async function compareSize(name, options, report) {
	return withFolder(async folder => {
		const size = sizes[name];
		const ours = await createOurs({...size, model: modelConfig(size), recipe});
		const rows = [];
		try {
			await ours.writeStart(folder);
			for (const backend of options.backends) rows.push(...openRows(backend, size, folder, options));
			const live = () => rows.filter(({peer, failure}) => peer && failure === undefined);
			const each = work => forEachRow(live, line => report(`${name}: ${line}`), work);
			await checkTraining(ours, each, folder);
			if (size.samplePasses > 0) await checkSampling(ours, each, size, path.join(folder, 'trained'));
			const times = options.timed ? await time(ours, live(), size, options, line => report(`${name}: ${line}`)) : {};
			return {name, ...size, parameterCount: ours.parameterCount, ...times, peers: rows.map(describeRow)};
		} finally {
			for (const {peer} of rows) peer?.close();
			await ours.dispose();
		}
	});
}

/** The rows of one backend: a process for each variant, or one row that says why there is none. */
function openRows(backend, size, folder, {isExplicit}) {
	if (backend === 'cpu' && size.slow && !isExplicit) {
		return [{backend, failure: 'left out: plain JavaScript takes minutes at this size (--backends cpu asks for it)'}];
	}

	try {
		return variants.map(variant => ({backend, variant, peer: new TfjsPeer(backend, variant, folder)}));
	} catch (error) {
		if (error instanceof PeerFailure) return [{backend, failure: error.message}];
		throw error;
	}
}

async function forEachRow(live, report, work) {
	for (const row of live()) {
		report(row.peer.name);
		try {
			await work(row);
		} catch (error) {
			if (!(error instanceof PeerFailure)) throw error;
			row.failure = error.message;
			row.peer.close();
		}
	}
}

async function checkTraining(ours, each, folder) {
	await each(async row => {
		await row.peer.start();
		row.facts = row.peer.facts;
		row.agreement = await compareGradients(ours, row.peer, folder);
	});
	const {losses} = await ours.train({...AGREEMENT, seconds: Number.POSITIVE_INFINITY});
	await each(async row => {
		const answer = await row.peer.ask('train', AGREEMENT);
		Object.assign(row.agreement, compareLosses(losses, answer.losses, row.peer.name));
	});
}

async function checkSampling(ours, each, size, folder) {
	const request = {length: size.context, passes: size.samplePasses, count: 1, seconds: 0};
	await ours.train(LEARNING);
	await ours.save(folder);
	const {tokens} = await ours.sample(request);
	await each(async row => {
		await row.peer.ask('load', {folder});
		row.agreement.sample = compareTokens(tokens, await row.peer.ask('sample', request), row.peer.name);
	});
}

async function time(ours, rows, size, {rounds, steps, seconds}, report) {
	const training = {steps, seconds};
	const sampling = {length: size.context, passes: size.samplePasses, count: steps, seconds};
	const visits = (ask, options) => ({
		ours: async () => (await ours[ask](options)).milliseconds,
		peers: rows.map(({peer}) => ({name: peer.name, visit: async () => (await peer.ask(ask, options)).milliseconds})),
	});
	const train = await timeInTurn(visits('train', training), rounds, line => report(`training, ${line}`));
	const sample =
		size.samplePasses > 0 &&
		(await timeInTurn(visits('sample', sampling), rounds, line => report(`sampling, ${line}`)));
	for (const row of rows) {
		row.train = train.peers.get(row.peer.name);
		if (sample) row.sample = sample.peers.get(row.peer.name);
	}

	return {train: train.ours, ...(sample && {sample: sample.ours})};
}

function describeRow({peer: _, ...row}) {
	return row;
}
