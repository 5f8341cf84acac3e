// Do both sides do the same work? Loss, every gradient, the losses of some steps, the tokens of a canvas. Nothing is timed before.
import path from 'node:path';
import {readTensors} from '../tensors.mjs';

/** Largest relative difference that is accepted, of a loss and of each gradient (Frobenius norm). */
export const tolerance = 1e-4;

function relativeError(found, expected) {
	if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
	let difference = 0;
	let norm = 0;
	for (let index = 0; index < expected.length; index++) {
		difference += (found[index] - expected[index]) ** 2;
		norm += expected[index] ** 2;
	}

	return Math.sqrt(difference / norm);
}

function require(error, what) {
	if (error <= tolerance) return error;
	throw new Error(
		`${what} differs by ${error}, relative; accepted: ${tolerance}. The two sides do not do the same work`,
	);
}

/** Compares loss and gradients of the first batch. Returns the largest relative differences. */
export async function compareGradients(ours, peer, folder) {
	const file = path.join(folder, 'gradients.safetensors');
	const {loss, gradients} = await ours.gradients(0);
	const answer = await peer.ask('gradients', {index: 0, file});
	const found = readTensors(file);
	let largest = 0;
	for (const [name, expected] of gradients) {
		const error = relativeError(found.get(name)?.data ?? [], expected);
		largest = Math.max(largest, require(error, `${peer.name}: the gradient of ${name}`));
	}

	return {loss: require(Math.abs(answer.loss - loss) / loss, `${peer.name}: the loss`), gradients: largest};
}

/** Compares the losses of training steps that both sides have made; of the slower side's if those are fewer. */
export function compareLosses(ours, losses, name) {
	let largest = 0;
	for (const [step, loss] of losses.entries()) {
		const error = Math.abs(loss - ours[step]) / ours[step];
		largest = Math.max(largest, require(error, `${name}: the loss of step ${step + 1}`));
	}

	return {steps: losses.length, losses: largest};
}

/** Choices closer than this may fall differently on both sides: our sampler compares confidences in steps of 2^-16. */
const tie = 2 ** -15;

/** Compares canvases: all tokens must be equal, unless a choice was as good as a tie. */
export function compareTokens(expected, {tokens, margin}, name) {
	const equal = tokens.filter((token, index) => token === expected[index]).length;
	if (equal === expected.length || margin < tie) return {equal, length: expected.length, margin};
	throw new Error(
		`${name}: ${equal} of ${expected.length} sampled tokens are equal, though every choice had a margin of ${margin}`,
	);
}
