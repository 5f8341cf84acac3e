// Do both sides do the same work? The losses of training steps, before anything is timed.

/** The two sides cannot be compared: the message says why. */
export class ComparisonError extends Error {
	exitCode = 1;
}

/**
 * Largest absolute difference between two losses where both sides compute in float32, and where one computes in bfloat16: that has 8
 * significant bits, and 2^-8 of the loss with which a model of GPT-2's vocabulary begins is 0.042.
 */
export const tolerances = {float32: 1e-4, bfloat16: 5e-2};

/**
 * The largest difference between our losses and a mode's.
 * @param theirs null where a loss is not finite
 * @param dtype the coarser one of both sides
 * @throws ComparisonError with both losses where they differ by more than the tolerance.
 */
export function compareLosses(ours, theirs, {name, dtype}) {
	if (theirs.length !== ours.length) {
		throw new ComparisonError(`PyTorch ${name} answered ${theirs.length} losses to ${ours.length} of ours`);
	}

	const tolerance = tolerances[dtype];
	let largest = 0;
	for (const [index, loss] of theirs.entries()) {
		const difference = loss === null ? Number.POSITIVE_INFINITY : Math.abs(loss - ours[index]);
		if (!(difference <= tolerance)) {
			throw new ComparisonError(
				`the loss of step ${index + 1} is ${ours[index]} here and ${loss ?? 'not finite'} in PyTorch ${name}; accepted: a difference of ` +
					`${tolerance}. The two sides do not do the same work`,
			);
		}

		largest = Math.max(largest, difference);
	}

	return {steps: theirs.length, largestDifference: largest, tolerance};
}
