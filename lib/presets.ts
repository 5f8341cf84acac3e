// Named starting points: a model and the recipe that trains it.
import type {ModelConfig, TrainConfig} from './config.js';

export type Preset = {
	/** Without `vocabSize` where the tokenizer decides it. */
	readonly model: ModelConfig;
	readonly train: TrainConfig;
};

/** The published GPT-2 shapes, with one more token id for the mask: 50257. Recipe: Brown et al., arXiv 2005.14165, table 2.1. */
function gpt2(layers: number, heads: number, width: number, learningRate: number): Preset {
	return {
		model: {family: 'gpt2', layers, heads, width, contextLength: 1024, vocabSize: 50258},
		train: {
			steps: 100_000,
			batchSize: 64,
			learningRate,
			warmupSteps: 2000,
			betas: [0.9, 0.95],
			weightDecay: 0.1,
			gradientClip: 1,
			evalEvery: 1000,
			saveEvery: 1000,
		},
	};
}

export const presets = {
	/** Minutes on a CPU: 4 layers of width 128 on windows of 64 characters. */
	nano: {
		model: {layers: 4, heads: 4, width: 128, contextLength: 64},
		train: {
			steps: 1500,
			batchSize: 32,
			learningRate: 3e-3,
			warmupSteps: 75,
			betas: [0.9, 0.99],
			weightDecay: 0.1,
			gradientClip: 1,
		},
	},
	/** The model and recipe of nanoLLaDA. */
	'nano-llada': {
		model: {family: 'nanollada', layers: 4, heads: 8, width: 256, contextLength: 512},
		train: {
			steps: 1000,
			batchSize: 64,
			learningRate: 1e-3,
			warmupSteps: 0,
			learningRateSchedule: 'constant',
			betas: [0.9, 0.999],
			epsilon: 1e-8,
			weightDecay: 1e-7,
			gradientClip: 0.1,
			evalEvery: 100,
			saveEvery: 100,
		},
	},
	/** The size and recipe of nanoGPT's character-level model. */
	baby: {
		model: {layers: 6, heads: 6, width: 384, contextLength: 256},
		train: {
			steps: 5000,
			batchSize: 64,
			learningRate: 1e-3,
			warmupSteps: 100,
			betas: [0.9, 0.99],
			weightDecay: 0.1,
			gradientClip: 1,
		},
	},
	gpt2: gpt2(12, 12, 768, 6e-4),
	'gpt2-medium': gpt2(24, 16, 1024, 3e-4),
	'gpt2-large': gpt2(36, 20, 1280, 2.5e-4),
	'gpt2-xl': gpt2(48, 25, 1600, 2e-4),
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof presets;

export function isPresetName(name: string): name is PresetName {
	return Object.hasOwn(presets, name);
}
