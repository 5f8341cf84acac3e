// The config of a resumed run: the saved one, with the keys that the caller changes.
import {ConfigError} from '../errors.js';
import {show, withoutUndefined} from './check.js';
import type {ResolvedTrainConfig, TrainConfig} from './train.js';

/**
 * The saved config with the given keys over it; keys of the objective replace those of the saved one.
 *
 * @param saved As a checkpoint has it, every key filled in.
 * @throws ConfigError for an objective of another kind. What the schema refuses is left to `resolveTrainConfig`.
 */
export function changeConfig(
	saved: TrainConfig & Pick<ResolvedTrainConfig, 'objective'>,
	given: TrainConfig,
): TrainConfig {
	const {objective, ...changes} = withoutUndefined(given);
	const whole = {...saved, ...changes};
	if (objective === undefined) return whole;
	if (typeof objective !== 'object' || objective === null || Array.isArray(objective)) return {...whole, objective};
	const {kind} = saved.objective;
	const keys = withoutUndefined(objective);
	if (keys.kind !== undefined && keys.kind !== kind) {
		throw new ConfigError(
			`TrainConfig: objective.kind is ${show(keys.kind)}; accepted: ${show(kind)}, which the run was started with`,
		);
	}

	return {...whole, objective: {...saved.objective, ...keys} as TrainConfig['objective']};
}
