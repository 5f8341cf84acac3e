// Do both sides do the same work? The losses of training steps, before anything is timed.

/** The two sides cannot be compared: the message says why. */
export class ComparisonError extends Error {
	exitCode = 1;
}

/** Largest absolute difference between two losses in float32. */
export const tolerance = 1e-4;

/**
 * The largest difference between our losses and a mode's. Where either computes in bfloat16 it is only reported.
 * @param theirs null where a loss is not finite
 * @throws ComparisonError with both losses where they differ by more than the tolerance.
 */
export function compareLosses(ours, theirs, {name, isExact}) {
	if (theirs.length !== ours.length) {
		throw new ComparisonError(`PyTorch ${name} answered ${theirs.length} losses to ${ours.length} of ours`);
	}

	let largest = 0;
	for (const [index, loss] of theirs.entries()) {
		const difference = loss === null ? Number.POSITIVE_INFINITY : Math.abs(loss - ours[index]);
		if (!(difference <= (isExact ? tolerance : Number.MAX_VALUE))) {
			throw new ComparisonError(
				`the loss of step ${index + 1} is ${ours[index]} here and ${loss ?? 'not finite'} in PyTorch ${name}; accepted: a difference of ` +
					`${tolerance}. The two sides do not do the same work`,
			);
		}

		largest = Math.max(largest, difference);
	}

	return {steps: theirs.length, largestDifference: largest};
}
