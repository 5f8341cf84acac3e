// One side's turn of a round: the same stopping rule for both, or their medians would not be of the same kind.

/**
 * Repeats `work` up to `most` times, at least `least` times, and not again once the seconds are over.
 * @returns What each repetition resolved to, and its milliseconds.
 */
export async function takeTurn({most, least = 1, seconds}, work) {
	const results = [];
	const milliseconds = [];
	const end = performance.now() + seconds * 1000;
	do {
		const begin = performance.now();
		results.push(await work());
		milliseconds.push(performance.now() - begin);
	} while (results.length < most && (results.length < least || performance.now() < end));
	return {results, milliseconds};
}
