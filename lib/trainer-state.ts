// The `trainer/` folder of a checkpoint: what a run needs, beside the weights, to continue as if it had never stopped.
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import {emaFile, toJson, weightsFile} from './checkpoint.js';
import {check} from './config/check.js';
import {trainSchema} from './config/train.js';
import {dtypes} from './devices.js';
import {CheckpointError} from './errors.js';
import {exists, readJsonFile} from './files.js';

const schema = z.strictObject({
	formatVersion: z.literal(1),
	completedSteps: z.int().min(0),
	/** What the run's matrix products are computed in. */
	dtype: z.enum(dtypes).default('float32'),
	/** The run's config, every key filled in. */
	train: trainSchema,
	/** The validation bound of this step, in nats per token, if it was measured. */
	evaluation: z.strictObject({nll: z.number(), standardError: z.number().nullable()}).optional(),
	/** The run's own evaluations: lowest bound, how many have come since it, step of the last one; null before the first. */
	earlyStopping: z.strictObject({
		bestNll: z.number().nullable(),
		evaluationsSince: z.int().min(0),
		evaluatedStep: z.int().min(0).nullable(),
	}),
	/** Steps in a row, up to this one, whose loss or gradient was not finite. */
	nonFiniteSteps: z.int().min(0),
});

export type TrainerState = Readonly<Omit<z.output<typeof schema>, 'formatVersion'>>;

const statePath = (checkpoint: string) => path.join(checkpoint, 'trainer', 'state.json');

export const weightsPath = (checkpoint: string) => path.join(checkpoint, weightsFile);
export const optimizerPath = (checkpoint: string) => path.join(checkpoint, 'trainer', 'optimizer.safetensors');

/** Where a checkpoint has the moving average of its weights, if it has one. */
export const emaPath = (checkpoint: string) => path.join(checkpoint, emaFile);

/**
 * Reads the state of a checkpoint's trainer.
 * @throws CheckpointError naming the file, the key, what was found and what is accepted.
 */
export async function readTrainerState(checkpoint: string): Promise<TrainerState> {
	const file = statePath(checkpoint);
	if (!(await exists(file)))
		throw new CheckpointError(
			`${checkpoint} has no trainer/state.json: only a run that was saved by a trainer can be resumed`,
		);
	const value = await readJsonFile(file, 'trainer state', {maxBytes: 2 ** 20, error: CheckpointError});
	const {formatVersion: _, ...state} = check(schema, value, {
		name: file,
		fail: message => new CheckpointError(message),
	});
	return state;
}

/** Writes the state into a checkpoint folder that is being built. */
export async function writeTrainerState(
	checkpoint: string,
	state: TrainerState,
	saveOptimizer: (path: string) => Promise<void>,
): Promise<void> {
	await mkdir(path.join(checkpoint, 'trainer'));
	await saveOptimizer(optimizerPath(checkpoint));
	await writeFile(statePath(checkpoint), toJson({formatVersion: 1, ...state}));
}
