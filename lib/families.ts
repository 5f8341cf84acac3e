// A checkpoint's config.json, in the keys of its family, to a ModelConfig and back.
import {isDeepStrictEqual} from 'node:util';
import {check, type Fail, show} from './config/check.js';
import {type Family, modelSchema} from './config/model.js';
import {type ResolvedModelConfig, resolveModelConfig} from './config.js';
import {CheckpointError, ConfigError} from './errors.js';
import {dllmNative} from './families/dllm-native.js';
import {dream} from './families/dream.js';
import type {FamilyFormat} from './families/format.js';
import {gpt2} from './families/gpt2.js';
import {llada} from './families/llada.js';
import {nanollada} from './families/nanollada.js';

type Json = Readonly<Record<string, unknown>>;

const formats: Readonly<Record<Family, FamilyFormat>> = {dllm_native: dllmNative, gpt2, llada, dream, nanollada};

const modelTypes: ReadonlyMap<unknown, Family> = new Map([
	['dllm_native', 'dllm_native'],
	['gpt2', 'gpt2'],
	['llada', 'llada'],
	['Dream', 'dream'],
	['qwen2', 'dream'],
	['nanollada', 'nanollada'],
]);

// A family is what the rest of a config.json is read by, so it cannot be among what the family's keys lack.
const extrasSchema = modelSchema.omit({family: true}).partial();

/**
 * The model that a parsed config.json describes. `mask_token_id` may be missing, as it is in every published GPT-2: then
 * the last id is taken.
 *
 * @param file What error messages call the file.
 * @param maskTokenId Overrides the file's.
 * @throws CheckpointError naming the file, the key, what was found and what is accepted; ConfigError for `maskTokenId`.
 */
export function readFamilyConfig(json: unknown, file: string, maskTokenId?: number): ResolvedModelConfig {
	const fail: Fail = message => new CheckpointError(message);
	if (typeof json !== 'object' || json === null || Array.isArray(json)) {
		throw fail(`${file}: the content is ${show(json)}; accepted: an object`);
	}

	const {model_type: modelType, dllm_native: extras = {}} = json as Json;
	const family = modelTypes.get(modelType);
	if (family === undefined) {
		const accepted = [...modelTypes.keys()].map(type => JSON.stringify(type)).join(', ');
		throw fail(
			`${file}: model_type is ${modelType === undefined ? 'missing' : show(modelType)}; accepted: ${accepted}`,
		);
	}

	const {schema} = formats[family];
	const base = formats[family].read(check(schema, json, {name: file, fail}));
	const more = check(extrasSchema, renameKeys(extras, toCamelCase), {name: `${file}: dllm_native`, fail});
	const config = resolveModelConfig({...base, ...more}, {name: file, fail});
	if (maskTokenId === undefined) return config;
	if (!Number.isInteger(maskTokenId) || maskTokenId < 0 || maskTokenId >= config.vocabSize) {
		throw new ConfigError(
			`maskTokenId is ${show(maskTokenId)}; accepted: an integer from 0 to ${config.vocabSize - 1}`,
		);
	}

	return {...config, maskTokenId};
}

/**
 * The config.json of a model, in the keys of its family; what they cannot say is in its `dllm_native` object.
 *
 * @param source The config.json that the model was read from: keys that say nothing about the model are kept.
 */
export function writeFamilyConfig(config: ResolvedModelConfig, source: Json = {}): Json {
	const {dllm_native: _extras, dtype: _dtype, ...kept} = source;
	const json = {...kept, ...formats[config.family].write(config), torch_dtype: 'float32'};
	const readBack = readFamilyConfig(json, 'config.json');
	const lacking = Object.entries(config).filter(
		([key, value]) => !isDeepStrictEqual(value, readBack[key as keyof ResolvedModelConfig]),
	);
	return lacking.length === 0 ? json : {...json, dllm_native: renameKeys(Object.fromEntries(lacking), toSnakeCase)};
}

/** Renames the keys of an object; what is not an object stays as it is, for the schema to refuse. */
function renameKeys(value: unknown, rename: (key: string) => string): unknown {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
	return Object.fromEntries(Object.entries(value).map(([key, entry]) => [rename(key), renameKeys(entry, rename)]));
}

function toCamelCase(key: string): string {
	return key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function toSnakeCase(key: string): string {
	return key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}
