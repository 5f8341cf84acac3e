// Shows a text while it is denoised: redrawn in place on a terminal, one line per frame elsewhere.
import process from 'node:process';
import {isTerminal, paint, print, printable} from './output.js';

/** How a token stands: still masked, kept from earlier steps, or filled in by this one with low, medium or high confidence. */
export type TokenState = 'masked' | 'kept' | 'low' | 'medium' | 'high';

/** Neighbouring tokens in the same state, decoded together. */
export type CanvasSpan = {readonly text: string; readonly state: TokenState};

const styles = {masked: 'dim', kept: undefined, low: 'red', medium: 'yellow', high: 'green'} as const;

export const maskCharacter = '░';

export function confidenceState(confidence: number): TokenState {
	if (confidence < 0.3) return 'low';
	return confidence < 0.7 ? 'medium' : 'high';
}

/**
 * Groups the tokens of a canvas by state.
 * @param fresh Positions that this step filled in, with the model's probability of each.
 */
export function canvasSpans(
	canvas: Int32Array,
	fresh: ReadonlyMap<number, number>,
	{maskTokenId, decode}: {readonly maskTokenId: number; readonly decode: (tokens: readonly number[]) => string},
): CanvasSpan[] {
	const groups: {state: TokenState; tokens: number[]}[] = [];
	for (const [position, token] of canvas.entries()) {
		const confidence = fresh.get(position);
		const state = token === maskTokenId ? 'masked' : confidence === undefined ? 'kept' : confidenceState(confidence);
		const last = groups.at(-1);
		if (last?.state === state) last.tokens.push(token);
		else groups.push({state, tokens: [token]});
	}

	return groups.map(({state, tokens}) => ({
		state,
		text: state === 'masked' ? maskCharacter.repeat(tokens.length) : decode(tokens),
	}));
}

export class CanvasView {
	readonly #live = isTerminal(process.stdout);
	#height = 0;

	show(title: string, spans: readonly CanvasSpan[]): void {
		if (!this.#live) {
			print(`${title}: ${JSON.stringify(spans.map(({text}) => text).join(''))}`);
			return;
		}

		const lines = [paint('dim', title), ...wrap(spans)];
		process.stdout.write(`${this.#back()}${lines.join('\n')}\n`);
		this.#height = lines.length;
	}

	/** Takes the canvas off the terminal again, so that the finished text can be printed in its place. */
	clear(): void {
		process.stdout.write(this.#back());
		this.#height = 0;
	}

	#back(): string {
		return this.#height > 0 ? `\x1b[${this.#height}A\r\x1b[J` : '';
	}
}

/** Lines cut to the width and the height of the terminal: only what is on the screen can be redrawn. */
function wrap(spans: readonly CanvasSpan[]): string[] {
	const width = Math.max(20, (process.stdout.columns || 80) - 1);
	const lines = [''];
	let column = 0;
	for (const {text, state} of spans) {
		const style = styles[state];
		for (const character of printable(text)) {
			if (character === '\n' || column === width) {
				lines.push('');
				column = 0;
			}

			if (character === '\n') continue;
			lines[lines.length - 1] += style ? paint(style, character) : character;
			column++;
		}
	}

	return lines.slice(-Math.max(4, (process.stdout.rows || 24) - 2));
}
