// metrics.jsonl of a run folder: one JSON object per step and per evaluation.
import {closeSync, openSync, writeSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {writing} from '../checkpoint.js';
import {exists, writeFileAtomic} from '../files.js';
import type {EvalStats, StepStats} from '../trainer.js';

export class Metrics {
	readonly #file: number;

	private constructor(file: number) {
		this.#file = file;
	}

	/**
	 * Opens the file to append to it. Lines after `completedSteps` are dropped: a run that was killed had measured steps that it
	 * had not saved, and a resumed one takes them again.
	 */
	static async open(runFolder: string, completedSteps: number): Promise<Metrics> {
		const file = path.join(runFolder, 'metrics.jsonl');
		return writing(file, async () => {
			if (await exists(file)) {
				const lines = (await readFile(file, 'utf8')).split('\n').filter(line => isUpTo(line, completedSteps));
				await writeFileAtomic(file, lines.map(line => `${line}\n`).join(''));
			}

			return new Metrics(openSync(file, 'a'));
		});
	}

	add(stats: StepStats | EvalStats): void {
		writeSync(this.#file, `${JSON.stringify(stats)}\n`);
	}

	[Symbol.dispose](): void {
		closeSync(this.#file);
	}
}

function isUpTo(line: string, completedSteps: number): boolean {
	try {
		const {step} = JSON.parse(line) as {step?: unknown};
		return typeof step === 'number' && step <= completedSteps;
	} catch {
		return false; // the part of a line that a killed process left
	}
}
