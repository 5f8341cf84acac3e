// Medians and spreads of repeated measurements.

export function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = Math.floor(sorted.length / 2);
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median of the rounds' medians, and the lowest and highest of them. */
export function summarize(rounds) {
	const medians = rounds.map(median);
	return {median: median(medians), lowest: Math.min(...medians), highest: Math.max(...medians)};
}

/** Median, lowest and highest of single measurements. */
export function spread(values) {
	return {median: median(values), lowest: Math.min(...values), highest: Math.max(...values)};
}
