// What every command prints: results on standard output, the live progress line on standard error.
import process from 'node:process';
import type {WriteStream} from 'node:tty';
import {styleText} from 'node:util';
import {describeCause} from '../files.js';
import type {Evaluation} from '../trainer.js';
import {exitCodes, reportError} from './exit.js';

type Style = Parameters<typeof styleText>[0];

let onClosed = (exitCode: number): void => process.exit(exitCode);
let isClosed = false;

/**
 * A reader that goes away (`| head`) ends the command without a message; output that cannot be written for another
 * reason, such as a full disk, ends it as an error. Call once, before anything is printed.
 */
export function handleClosedOutput(): void {
	for (const stream of [process.stdout, process.stderr]) {
		stream.on('error', (error: NodeJS.ErrnoException) => {
			if (isClosed) return; // every further line fails as well
			isClosed = true;
			if (error.code === 'EPIPE') {
				onClosed(exitCodes.ok);
				return;
			}

			process.exitCode = exitCodes.failed; // also when the command has nothing left to do
			if (stream === process.stdout) {
				reportError(new Error(`cannot write standard output: ${describeCause(error)}`, {cause: error}));
			}

			onClosed(exitCodes.failed);
		});
	}
}

/** Replaces the immediate exit with this code, for commands that have something to save first. */
export function whenOutputCloses(handler: (exitCode: number) => void): void {
	onClosed = handler;
}

/** One line on standard output. */
export function print(line = ''): void {
	process.stdout.write(`${line}\n`);
}

/** One line on standard error: what a script reading the result does not want. */
export function note(line: string): void {
	process.stderr.write(`${line}\n`);
}

/** One JSON value as one line on standard output. */
export function printJson(value: unknown): void {
	process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function isTerminal(stream: NodeJS.WriteStream): boolean {
	return stream.isTTY === true && process.env.TERM !== 'dumb';
}

/** Colour only where it is seen: hasColors() is false off a terminal and honours NO_COLOR. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
	const coloured = isTerminal(stream) && (stream as WriteStream).hasColors();
	return coloured ? styleText(style, text, {validateStream: false}) : text;
}

/** Text of a model as a terminal may show it: control characters would move its cursor or change its colours. */
export function printable(text: string): string {
	if (!isTerminal(process.stdout)) return text;
	return text.replaceAll('\t', '    ').replaceAll(/[^\P{Cc}\n]/gu, '\uFFFD');
}

/** A line on a terminal's standard error that is redrawn in place; elsewhere it prints nothing. */
export class ProgressLine {
	readonly live: boolean;
	#text = '';
	#drawnAt = 0;

	constructor(live = isTerminal(process.stderr)) {
		this.live = live;
	}

	/** Draws at most ten times a second. */
	update(text: string): void {
		this.#text = text;
		if (this.live && Date.now() - this.#drawnAt >= 100) this.#draw();
	}

	/** Prints lines above the progress line. */
	above(write: () => void): void {
		this.clear();
		write();
		if (this.live && this.#text) this.#draw();
	}

	clear(): void {
		if (this.live && this.#drawnAt > 0) process.stderr.write('\r\x1b[2K');
	}

	/** Removes the line for good. */
	end(): void {
		this.clear();
		this.#text = '';
	}

	#draw(): void {
		const width = (process.stderr.columns || 80) - 1;
		process.stderr.write(`\r\x1b[2K${this.#text.slice(0, width)}`);
		this.#drawnAt = Date.now();
	}
}

/** 75 -> "1m 15s", for time left and time taken. */
export function formatSeconds(seconds: number): string {
	const whole = Math.max(0, Math.round(seconds));
	if (whole < 60) return `${whole}s`;
	if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
	return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
}

/** 12345 -> "12.3k", for counts where three digits are enough. */
export function formatCount(count: number): string {
	if (count < 1000) return String(Math.round(count));
	if (count < 1e6) return `${(count / 1e3).toPrecision(3)}k`;
	if (count < 1e9) return `${(count / 1e6).toPrecision(3)}M`;
	return `${(count / 1e9).toPrecision(3)}B`;
}

export function formatBytes(bytes: number): string {
	return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** "2.3412 ± 0.0100 nats per token (3.378 bits, perplexity 10.39)" */
export function formatBound({nll, bitsPerToken, perplexity, standardError}: Evaluation): string {
	const error = Number.isFinite(standardError) ? ` ± ${standardError.toFixed(4)}` : '';
	return `${nll.toFixed(4)}${error} nats per token (${bitsPerToken.toFixed(3)} bits, perplexity ${perplexity.toPrecision(4)})`;
}
