// What a model is: one knob for each thing in which published families differ, and each family's own values.
import {z} from 'zod';
import type {Agree} from './agree.js';

/** Whose architecture is the starting point, and whose tensor and config.json names a checkpoint uses. */
export type Family = 'dllm_native' | 'gpt2' | 'llada' | 'dream' | 'nanollada';

export type Norm = {
	/** Layer norm (mean and variance) or RMS norm (root mean square only). */
	readonly kind: 'layer' | 'rms';
	/** Added to the variance or mean square. @default 1e-5 */
	readonly eps?: number;
	/** A learned shift after the learned scale; layer norm only. @default true for `layer`, false for `rms` */
	readonly bias?: boolean;
};

/** A transformer. Keys without a `@default` take the value of their family. */
export type ModelConfig = {
	/** @default 'dllm_native' */
	readonly family?: Family;
	/** Number of transformer blocks. */
	readonly layers: number;
	/** Query heads per block; divides `width`. */
	readonly heads: number;
	/** Key and value heads per block; divides `heads` (grouped-query attention). @default heads */
	readonly kvHeads?: number;
	/** Width of the residual stream; `width / heads` is at most 128, and even with rotary positions. */
	readonly width: number;
	/** Inner width of the MLP. @default 4 * width */
	readonly mlpWidth?: number;
	/** Number of token ids, at least 2: the mask token and another one. `Model.create` can be given it as an option instead. */
	readonly vocabSize?: number;
	/** Longest sequence in tokens. */
	readonly contextLength: number;
	/** The id that stands for a masked token. @default vocabSize - 1 */
	readonly maskTokenId?: number;
	/** The norm before attention and before the MLP. */
	readonly norm?: Norm;
	/** The norm before the head; null for none. @default norm, except none for `nanollada` */
	readonly finalNorm?: Norm | null;
	/** Learned absolute positions, or rotary ones (Su et al., arXiv 2104.09864). */
	readonly positions?: 'learned' | 'rotary';
	/** Base of the rotary frequencies. */
	readonly rotaryTheta?: number;
	/** Biases of the query, key and value projections. */
	readonly qkvBias?: boolean;
	/** Bias of the projection after attention. */
	readonly attentionOutputBias?: boolean;
	/** Biases of the MLP's projections. */
	readonly mlpBias?: boolean;
	/** Bias of the head. */
	readonly headBias?: boolean;
	/** Activation of the MLP: `gelu` in its tanh form, `silu`, or `swiglu` (SiLU with a gate, three projections). */
	readonly mlp?: 'gelu' | 'silu' | 'swiglu';
	/** The head is the token embedding. */
	readonly tiedHead?: boolean;
	/** RMS norm without weights on every query and key head, before rotary. */
	readonly queryKeyNorm?: boolean;
	/** Epsilon of that norm. */
	readonly queryKeyNormEps?: number;
	/**
	 * Probability that training drops an element of the embedding or of an output of attention or MLP before it joins the
	 * residual stream (Srivastava et al., JMLR 2014); attention weights are not dropped. Evaluation and sampling drop nothing.
	 */
	readonly dropout?: number;
	/** Random weights: N(0, initStd) with residual outputs divided by sqrt(2 * layers), or PyTorch's layer defaults. */
	readonly init?: 'normal' | 'pytorch';
	/** Standard deviation for `init: 'normal'`. */
	readonly initStd?: number;
};

export type ResolvedNorm = Required<Norm>;

/** A ModelConfig with every key filled in. */
export type ResolvedModelConfig = Required<Omit<ModelConfig, 'norm' | 'finalNorm'>> & {
	readonly norm: ResolvedNorm;
	readonly finalNorm: ResolvedNorm | null;
};

// Bounds that the native core enforces too.
const size = z
	.int()
	.min(1)
	.max(2 ** 24);
const epsilon = z.number().min(1e-30).max(1); // not 0 in float32
const positive = z.number().gt(0).max(1e30); // not infinite in float32

const normSchema = z.strictObject({
	kind: z.enum(['layer', 'rms']),
	eps: epsilon.default(1e-5),
	bias: z.boolean().optional(),
});

export const modelSchema = z.strictObject({
	family: z
		.enum(['dllm_native', 'gpt2', 'llada', 'dream', 'nanollada'])
		.default('dllm_native')
		.describe('architecture and naming to start from'),
	layers: z.int().min(1).max(1024).describe('transformer blocks'),
	heads: z.int().min(1).max(4096).describe('query heads per block'),
	kvHeads: z.int().min(1).max(4096).optional().describe('key and value heads per block (default: heads)'),
	width: size.describe('width of the residual stream'),
	mlpWidth: size.optional().describe('inner width of the MLP (default: 4 * width)'),
	vocabSize: size.min(2).optional().describe('token ids, the mask token included (default: of the tokenizer)'),
	contextLength: z
		.int()
		.min(1)
		.max(2 ** 20)
		.describe('longest sequence in tokens'),
	maskTokenId: z
		.int()
		.min(0)
		.max(2 ** 24 - 1)
		.optional()
		.describe('id of the mask token (default: vocabSize - 1)'),
	norm: normSchema.optional().describe('norm before attention and MLP (default: of the family)'),
	finalNorm: normSchema.nullable().optional().describe('norm before the head, or null (default: of the family)'),
	positions: z.enum(['learned', 'rotary']).optional().describe('position embedding (default: of the family)'),
	rotaryTheta: positive.optional().describe('base of the rotary frequencies (default: of the family)'),
	qkvBias: z.boolean().optional().describe('biases of query, key and value (default: of the family)'),
	attentionOutputBias: z.boolean().optional().describe('bias after attention (default: of the family)'),
	mlpBias: z.boolean().optional().describe('biases of the MLP (default: of the family)'),
	headBias: z.boolean().optional().describe('bias of the head (default: of the family)'),
	mlp: z.enum(['gelu', 'silu', 'swiglu']).optional().describe('activation of the MLP (default: of the family)'),
	tiedHead: z.boolean().optional().describe('the head is the token embedding (default: of the family)'),
	queryKeyNorm: z.boolean().optional().describe('normalise query and key heads (default: of the family)'),
	queryKeyNormEps: epsilon.optional().describe('epsilon of the query and key norm (default: of the family)'),
	dropout: z.number().min(0).max(0.99).optional().describe('share of elements dropped in training (default: 0)'),
	init: z.enum(['normal', 'pytorch']).optional().describe('random weights (default: of the family)'),
	initStd: positive.optional().describe('standard deviation of normal weights (default: of the family)'),
});

export const modelSchemaAgrees: Agree<z.input<typeof modelSchema>, ModelConfig> = true;

// PyTorch's default epsilon of an RMS norm: the machine epsilon of float32.
const torchEps = 2 ** -23;

type FamilyDefaults = Required<
	Omit<
		ResolvedModelConfig,
		'family' | 'layers' | 'heads' | 'kvHeads' | 'width' | 'mlpWidth' | 'vocabSize' | 'contextLength' | 'maskTokenId'
	>
>;

const unbiased = {qkvBias: false, attentionOutputBias: false, mlpBias: false, headBias: false} as const;
const shared = {
	queryKeyNorm: false,
	queryKeyNormEps: torchEps,
	dropout: 0,
	init: 'normal',
	initStd: 0.02,
} as const;

/** What a family's models have in common. */
export const familyDefaults = {
	dllm_native: {
		...shared,
		norm: {kind: 'rms', eps: torchEps, bias: false},
		finalNorm: {kind: 'rms', eps: torchEps, bias: false},
		positions: 'rotary',
		rotaryTheta: 1e4,
		qkvBias: true,
		attentionOutputBias: true,
		mlpBias: true,
		headBias: false,
		mlp: 'gelu',
		tiedHead: true,
		queryKeyNorm: true,
	},
	gpt2: {
		...shared,
		norm: {kind: 'layer', eps: 1e-5, bias: true},
		finalNorm: {kind: 'layer', eps: 1e-5, bias: true},
		positions: 'learned',
		rotaryTheta: 1e4,
		qkvBias: true,
		attentionOutputBias: true,
		mlpBias: true,
		headBias: false,
		mlp: 'gelu',
		tiedHead: true,
	},
	llada: {
		...shared,
		...unbiased,
		norm: {kind: 'rms', eps: 1e-5, bias: false},
		finalNorm: {kind: 'rms', eps: 1e-5, bias: false},
		positions: 'rotary',
		rotaryTheta: 5e5,
		mlp: 'swiglu',
		tiedHead: false,
	},
	dream: {
		...shared,
		...unbiased,
		norm: {kind: 'rms', eps: 1e-6, bias: false},
		finalNorm: {kind: 'rms', eps: 1e-6, bias: false},
		positions: 'rotary',
		rotaryTheta: 1e6,
		qkvBias: true,
		mlp: 'swiglu',
		tiedHead: false,
	},
	nanollada: {
		...shared,
		...unbiased,
		norm: {kind: 'rms', eps: torchEps, bias: false},
		finalNorm: null,
		positions: 'learned',
		rotaryTheta: 1e4,
		attentionOutputBias: true,
		headBias: true,
		mlp: 'silu',
		tiedHead: false,
		init: 'pytorch',
	},
} as const satisfies Record<Family, FamilyDefaults>;
