// What a trainer has in a checkpoint beside state.json: weights, moments and the moving average, to and from native memory.
import process from 'node:process';
import {CheckpointError} from './errors.js';
import {exists} from './files.js';
import {verifyManifest} from './manifest.js';
import {nativeCall} from './native-call.js';
import type {NativeTrainer} from './native-types.js';
import {
	emaPath,
	optimizerPath,
	readTrainerState,
	type TrainerState,
	weightsPath,
	writeTrainerState,
} from './trainer-state.js';

/** Fills the checkpoint folder that is being built. */
export async function saveTrainer(native: NativeTrainer, folder: string, state: TrainerState): Promise<void> {
	if (state.train.emaDecay > 0) await nativeCall(() => native.saveEma(emaPath(folder)));
	await writeTrainerState(folder, state, path => nativeCall(() => native.save(path)));
}

/**
 * Moments, counters and the average of a checkpoint, whose state is given, into a trainer whose model has its weights.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export async function loadTrainer(
	native: NativeTrainer,
	checkpoint: string,
	{completedSteps, train}: TrainerState,
	{emaDecay}: {readonly emaDecay: number},
): Promise<void> {
	const optimizer = optimizerPath(checkpoint);
	const reason = await native.load(optimizer);
	if (reason !== '') {
		process.emitWarning(
			`the algorithms that ${optimizer} names are not used, so results may differ in their last bits from those of a run that was never stopped: ${reason}`,
			{code: 'DLLM_PLANS_UNUSED'},
		);
	}

	if (native.completedSteps !== completedSteps) {
		throw new CheckpointError(
			`${optimizer} is of step ${native.completedSteps}, but state.json beside it of step ${completedSteps}`,
		);
	}

	if (emaDecay === 0) return;
	// an average that begins with this checkpoint starts at its weights
	const ema = emaPath(checkpoint);
	await native.loadEma(train.emaDecay > 0 || (await exists(ema)) ? ema : weightsPath(checkpoint));
}

/** Weights and trainer as a checkpoint has them, but counted on: the steps up to `step` are not taken again. */
export async function rollBack(
	native: NativeTrainer,
	checkpoint: string,
	{emaDecay, step}: {readonly emaDecay: number; readonly step: number},
): Promise<void> {
	await verifyManifest(checkpoint);
	const state = await readTrainerState(checkpoint);
	await native.loadWeights(weightsPath(checkpoint));
	await loadTrainer(native, checkpoint, state, {emaDecay});
	await native.skipTo(step);
}
