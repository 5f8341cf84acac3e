// Early stopping: a run ends when its validation bound has stopped falling.

export type EarlyStoppingState = {
	/** Lowest bound so far, in nats per token; null before the first evaluation. */
	readonly bestNll: number | null;
	/** Evaluations since that one. */
	readonly evaluationsSince: number;
	/** Step of the last evaluation; null before the first. */
	readonly evaluatedStep: number | null;
};

export class EarlyStopping {
	readonly #patience: number;
	#state: EarlyStoppingState;

	/**
	 * @param patience Evaluations in a row without a new lowest bound; 0: the run never ends early.
	 * @param state Of the run that is continued.
	 */
	constructor(patience: number, state: EarlyStoppingState = {bestNll: null, evaluationsSince: 0, evaluatedStep: null}) {
		this.#patience = patience;
		this.#state = state;
	}

	add(nll: number, step: number): void {
		const {bestNll, evaluationsSince} = this.#state;
		// a bound that is not a number is never the best
		const isBest = nll < (bestNll ?? Number.POSITIVE_INFINITY);
		this.#state = isBest
			? {bestNll: nll, evaluationsSince: 0, evaluatedStep: step}
			: {bestNll, evaluationsSince: evaluationsSince + 1, evaluatedStep: step};
	}

	get isDue(): boolean {
		return this.#patience > 0 && this.#state.evaluationsSince >= this.#patience;
	}

	get state(): EarlyStoppingState {
		return this.#state;
	}
}
