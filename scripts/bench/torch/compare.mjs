// One size: our training and every mode of PyTorch on it; first whether they agree, then how long they take.
import {withFolder} from '../against/folder.mjs';
import {createOurs} from '../against/ours.mjs';
import {timeInTurn} from '../against/timing.mjs';
import {productRates} from '../products.mjs';
import {compareLosses} from './agreement.mjs';
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
 */
export async function compareSize(work, options, report) {
	const {parts, threads, environment} = options;
	const note = line => report(`${work.name}: ${line}`);
	return withFolder(async folder => {
		const ours = await createOurs(work, deviceOptions(options));
		const result = {...work, parameterCount: ours.parameterCount};
		try {
			await ours.writeStart(folder);
			if (parts.includes('agreement')) Object.assign(result, await compareTraining(ours, work, folder, options, note));
		} finally {
			await ours.dispose();
		}

		if (parts.includes('products')) {
			note('matrix products');
			result.products = await productRates(trainingProducts(work), {threads, peerEnvironment: environment});
		}

		if (parts.includes('memory')) {
			note('memory');
			result.memory = await measureMemory(work, folder, options);
		}

		return result;
	});
}

async function compareTraining(ours, work, folder, options, note) {
	const {device, dtype, modes, parts, agreement, environment} = options;
	const peers = modes.map(mode => ({mode, peer: undefined}));
	try {
		note(`${agreement} steps of ours`);
		const request = {steps: agreement, least: agreement, seconds: 0};
		const {losses} = await ours.train(request);
		for (const row of peers) {
			note(`${agreement} steps of ${row.mode.name}`);
			row.peer = new TorchPeer(row.mode, {folder, device, recipe: work.recipe, environment});
			await row.peer.start();
			const answer = await row.peer.ask('train', {...request, untimed: 0});
			const coarser = dtype === 'bfloat16' ? dtype : row.mode.dtype;
			row.agreement = compareLosses(losses, answer.losses, {name: row.mode.name, dtype: coarser});
			if (device === 'cuda') row.attentionKernels = (await row.peer.ask('attention')).kernels;
		}

		const times = parts.includes('timing') ? await timeTraining(ours, peers, options, note) : undefined;
		return {
			...(times && {milliseconds: times.ours}),
			modes: peers.map(({mode, peer, ...row}) => ({
				...mode,
				...peer.facts,
				...row,
				...times?.peers.get(mode.name),
			})),
		};
	} finally {
		for (const {peer} of peers) peer?.close();
	}
}

async function timeTraining(ours, peers, {device, rounds, steps, seconds}, note) {
	const request = {steps, least: 1, seconds};
	const visit = async peer => (await peer.ask('train', {...request, untimed: untimedSteps[device]})).milliseconds;
	const visits = {
		ours: async () => (await ours.train(request)).milliseconds,
		peers: peers.map(({peer}) => ({name: peer.name, visit: () => visit(peer)})),
	};
	return timeInTurn(visits, rounds, note);
}
