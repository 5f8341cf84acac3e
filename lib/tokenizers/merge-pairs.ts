// Byte pair merging of one word in O(n log n), so that a long run of one character is no trap.

/**
 * Starts from single bytes and merges neighbours, always the pair whose joined bytes have the lowest rank and the
 * leftmost of equals, until no two neighbours join to a known token (Sennrich et al. 2016, with the ranks as ids).
 *
 * @param bytes The word, one character U+0000 … U+00FF per byte.
 * @param ranks Id of each token; all single bytes are among them.
 */
export function mergePairs(bytes: string, ranks: ReadonlyMap<string, number>): number[] {
	const length = bytes.length;
	const next = Int32Array.from({length}, (_, start) => start + 1); // start of the following part
	const previous = Int32Array.from({length: length + 1}, (_, start) => start - 1);
	const pairRank = new Int32Array(length).fill(-1); // of a part and its successor, by the part's start
	const queue = new PairQueue();

	function rankPair(start: number): void {
		const middle = next[start];
		const rank = middle < length ? ranks.get(bytes.slice(start, next[middle])) : undefined;
		pairRank[start] = rank ?? -1;
		if (rank !== undefined) queue.push(rank, start);
	}

	for (let start = 0; start < length; start++) rankPair(start);
	for (let pair = queue.pop(); pair; pair = queue.pop()) {
		const {rank, start} = pair;
		if (pairRank[start] !== rank) continue; // one of the two parts has been merged since
		const middle = next[start];
		pairRank[middle] = -1;
		next[start] = next[middle];
		previous[next[start]] = start;
		rankPair(start);
		if (previous[start] >= 0) rankPair(previous[start]);
	}

	const tokens: number[] = [];
	for (let start = 0; start < length; start = next[start]) tokens.push(ranks.get(bytes.slice(start, next[start]))!);
	return tokens;
}

/** A binary heap of pairs, lowest rank first, then leftmost. Each entry is one number: rank · 2^32 + start. */
class PairQueue {
	readonly #heap: number[] = [];

	push(rank: number, start: number): void {
		const entry = rank * 2 ** 32 + start;
		let hole = this.#heap.length;
		for (let parent = (hole - 1) >> 1; hole > 0 && this.#heap[parent] > entry; parent = (hole - 1) >> 1) {
			this.#heap[hole] = this.#heap[parent];
			hole = parent;
		}

		this.#heap[hole] = entry;
	}

	pop(): {readonly rank: number; readonly start: number} | undefined {
		const top = this.#heap[0];
		const last = this.#heap.pop();
		if (top === undefined || last === undefined) return undefined;
		const size = this.#heap.length;
		let hole = 0;
		for (let child = 1; child < size; child = 2 * hole + 1) {
			if (child + 1 < size && this.#heap[child + 1] < this.#heap[child]) child++;
			if (this.#heap[child] >= last) break;
			this.#heap[hole] = this.#heap[child];
			hole = child;
		}

		if (size > 0) this.#heap[hole] = last;
		return {rank: Math.floor(top / 2 ** 32), start: top % 2 ** 32};
	}
}
