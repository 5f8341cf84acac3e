// One size: our training and every mode of PyTorch on it; first whether they agree, then how long they take.
import {withFolder} from '../against/folder.mjs';
import {createOurs} from '../against/ours.mjs';
import {timeInTurn} from '../against/timing.mjs';
import {PeerFailure} from '../peer.mjs';
import {productRates} from '../products.mjs';
import {ComparisonError, compareLosses} from './agreement.mjs';
import {measureMemory} from './memory.mjs';
import {TorchPeer} from './peers.mjs';
import {trainingProducts} from './sizes.mjs';

/** Steps of a device that come before the timed ones of each turn: its memory has been given back in between. */
const untimedSteps = {cpu: 0, cuda: 3};

/** As `Model.create` takes them. */
export function deviceOptions({device, dtype}) {
	return {device: device === 'cuda' ? 'cuda:0' : 'cpu', dtype};
}

/**
 * @param work As `describeWork` gives it.
 * @param options {device, dtype, modes, parts, agreement, rounds, steps, seconds, threads, environment}
 * @param report function of a line about the progress
 * @param save function of what is known so far, after every mode and every round
 */
export async function compareSize(work, options, report, save) {
	const {parts, threads, environment} = options;
	const note = line => report(`${work.name}: ${line}`);
	return withFolder(async folder => {
		const ours = await createOurs(work, deviceOptions(options));
		const result = {...work, parameterCount: ours.parameterCount};
		try {
			await ours.writeStart(folder);
			if (parts.includes('agreement')) {
				const saveTraining = training => save({...result, ...training});
				Object.assign(result, await compareTraining(ours, work, folder, options, {note, save: saveTraining}));
			}
		} finally {
			await ours.dispose();
		}

		if (parts.includes('products')) {
			note('matrix products');
			result.products = await productRates(trainingProducts(work), {threads, peerEnvironment: environment});
		}

		if (parts.includes('memory')) {
			note('memory');
			result.memory = await measureMemory(work, folder, options, memory => save({...result, memory}));
		}

		return result;
	});
}

/** Starts a mode of PyTorch and takes the first steps, whose losses must be ours. */
async function startMode(row, losses, work, folder, {device, dtype, agreement, environment}) {
	row.peer = new TorchPeer(row.mode, {folder, device, recipe: work.recipe, environment});
	await row.peer.start();
	const answer = await row.peer.ask('train', {steps: agreement, least: agreement, seconds: 0, untimed: 0});
	const coarser = dtype === 'bfloat16' ? dtype : row.mode.dtype;
	row.agreement = compareLosses(losses, answer.losses, {name: row.mode.name, dtype: coarser});
	if (device === 'cuda') row.attentionKernels = (await row.peer.ask('attention')).kernels;
}

async function compareTraining(ours, work, folder, options, {note, save}) {
	const {device, modes, parts, agreement} = options;
	const rows = modes.map(mode => ({mode}));
	const describe = (described, times) => ({
		...(times && {milliseconds: times.ours}),
		modes: described.map(({mode, peer, ...row}) => ({
			...mode,
			...peer?.facts,
			...row,
			...times?.peers.get(mode.name),
		})),
	});
	try {
		note(`${agreement} steps of ours`);
		const {losses} = await ours.train({steps: agreement, least: agreement, seconds: 0});
		for (const [index, row] of rows.entries()) {
			note(`${agreement} steps of ${row.mode.name}`);
			try {
				await startMode(row, losses, work, folder, options);
			} catch (error) {
				// the time of a machine with a GPU is short: the other modes are measured all the same
				if (device === 'cpu' || !(error instanceof ComparisonError)) throw error;
				note(error.message);
				row.failure = error.message;
				row.peer.close();
			}

			save(describe(rows.slice(0, index + 1)));
		}

		if (!parts.includes('timing')) return describe(rows);
		const started = rows.filter(({failure}) => failure === undefined).map(({peer}) => peer);
		const times = await timeTraining(ours, started, options, {note, save: known => save(describe(rows, known))});
		return describe(rows, times);
	} finally {
		for (const {peer} of rows) peer?.close();
	}
}

async function timeTraining(ours, peers, {device, rounds, steps, seconds}, {note, save}) {
	const request = {steps, least: 1, seconds};
	const visit = async peer => {
		try {
			return (await peer.ask('train', {...request, untimed: untimedSteps[device]})).milliseconds;
		} catch (error) {
			if (device === 'cpu' || !(error instanceof ComparisonError)) throw error;
			note(error.message);
			throw new PeerFailure(error.message, {cause: error});
		}
	};

	const visits = {
		ours: async () => (await ours.train(request)).milliseconds,
		peers: peers.map(peer => ({name: peer.name, visit: () => visit(peer)})),
	};
	return timeInTurn(visits, rounds, note, save);
}
