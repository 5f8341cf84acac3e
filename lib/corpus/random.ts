// A seeded 32-bit generator (sfc32, Chris Doty-Humphrey), so that a corpus is the same text on every machine.

/** Draws unsigned 32-bit integers from a seed; the same seed gives the same draws everywhere. */
export class Random {
	#a: number;
	#b: number;
	#c = 0x9e3779b9;
	#counter = 1;

	/** @param seed An integer in [0, 2^53). */
	constructor(seed: number) {
		this.#a = seed | 0;
		this.#b = Math.floor(seed / 2 ** 32) | 0;
		for (let round = 0; round < 15; round++) this.next(); // until neighbouring seeds no longer look alike
	}

	/** A uniform integer in [0, 2^32). */
	next(): number {
		const sum = (this.#a + this.#b + this.#counter) | 0;
		this.#counter = (this.#counter + 1) | 0;
		this.#a = this.#b ^ (this.#b >>> 9);
		this.#b = (this.#c + (this.#c << 3)) | 0;
		this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
		return sum >>> 0;
	}

	/** A uniform integer in [0, bound), without the bias of a plain remainder. */
	below(bound: number): number {
		const limit = 2 ** 32 - (2 ** 32 % bound);
		let draw = this.next();
		while (draw >= limit) draw = this.next();
		return draw % bound;
	}
}
