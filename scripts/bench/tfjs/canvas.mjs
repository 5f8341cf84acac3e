// Filling in a canvas as our sampler does at temperature 0: every pass predicts all masked tokens and keeps the surest.

// Confidences are compared in steps of 2^-16, ties to the lowest position.
const rounded = confidence => Math.round(Math.fround(confidence) * 2 ** 16);

// The most probable token but the mask, its probability (the mask counts in the sum), and the lead over the next one.
function best(logits, row, vocabSize, maskTokenId) {
	let token = -1;
	let first = Number.NEGATIVE_INFINITY;
	let second = Number.NEGATIVE_INFINITY;
	let largest = Number.NEGATIVE_INFINITY;
	for (let id = 0; id < vocabSize; id++) {
		const value = logits[row * vocabSize + id];
		largest = Math.max(largest, value);
		if (id === maskTokenId || !(value > second)) continue;
		if (value > first) [token, first, second] = [id, value, first];
		else second = value;
	}

	let sum = 0;
	for (let id = 0; id < vocabSize; id++) sum += Math.exp(logits[row * vocabSize + id] - largest);
	const probability = value => Math.exp(value - largest) / sum;
	return {position: row, token, confidence: probability(first), lead: probability(first) - probability(second)};
}

/**
 * @param predict function of T ids that resolves to logits [T, V]
 * @returns the tokens, and the smallest difference in probability that decided a choice
 */
export async function fillCanvas(predict, {length, passes, vocabSize, maskTokenId}) {
	const canvas = new Int32Array(length).fill(maskTokenId);
	let margin = Number.POSITIVE_INFINITY;
	for (let pass = 0; pass < passes; pass++) {
		const logits = await predict(canvas);
		const choices = [];
		for (let position = 0; position < length; position++) {
			if (canvas[position] === maskTokenId) choices.push(best(logits, position, vocabSize, maskTokenId));
		}

		// the sort is stable, so that ties stay in the order of their positions
		choices.sort((a, b) => rounded(b.confidence) - rounded(a.confidence));
		const count = Math.floor(length / passes) + (pass < length % passes ? 1 : 0);
		for (const {position, token, lead} of choices.slice(0, count)) {
			canvas[position] = token;
			margin = Math.min(margin, lead);
		}

		// negative where rounding has reversed the order of two
		if (count < choices.length)
			margin = Math.min(margin, Math.abs(choices[count - 1].confidence - choices[count].confidence));
	}

	return {tokens: canvas, margin};
}
