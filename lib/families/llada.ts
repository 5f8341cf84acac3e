// LLaDA's config.json (the keys of OLMo).
import {z} from 'zod';
import {epsilon, type FamilyFormat, flag, headCount, layerCount, only, size, theta, tokenId} from './format.js';

const schema = z.looseObject({
	n_layers: layerCount,
	n_heads: headCount,
	n_kv_heads: headCount.nullish(),
	multi_query_attention: only(false),
	d_model: size,
	mlp_hidden_size: size.nullish(),
	mlp_ratio: z.number().gt(0).max(1024).nullish(),
	vocab_size: size,
	embedding_size: size.nullish(),
	max_sequence_length: size,
	mask_token_id: tokenId.nullish(),
	block_type: only('llama'),
	activation_type: z.literal('silu'),
	layer_norm_type: z.enum(['rms', 'default']).nullish(),
	layer_norm_with_affine: only(true),
	rms_norm_eps: epsilon.nullish(),
	bias_for_layer_norm: flag.nullish(),
	include_bias: flag.nullish(),
	include_qkv_bias: flag.nullish(),
	weight_tying: flag.nullish(),
	rope: z.literal(true),
	rope_theta: theta.nullish(),
	alibi: only(false),
	attention_layer_norm: only(false),
	input_emb_norm: only(false),
	scale_logits: only(false),
	clip_qkv: z.null().optional(),
});

export const llada: FamilyFormat<typeof schema> = {
	schema,
	read(json) {
		const bias = json.include_bias ?? false;
		const normBias = json.bias_for_layer_norm ?? bias;
		const norm =
			json.layer_norm_type === 'rms'
				? ({kind: 'rms', eps: json.rms_norm_eps ?? 1e-5, bias: normBias} as const)
				: ({kind: 'layer', eps: 1e-5, bias: normBias} as const); // its layer norm has a fixed epsilon
		return {
			family: 'llada',
			layers: json.n_layers,
			heads: json.n_heads,
			kvHeads: json.n_kv_heads ?? json.n_heads,
			width: json.d_model,
			mlpWidth: json.mlp_hidden_size ?? Math.floor((json.mlp_ratio ?? 4) * json.d_model),
			// the embedding's rows, which may be padded, are what the logits range over
			vocabSize: json.embedding_size ?? json.vocab_size,
			contextLength: json.max_sequence_length,
			maskTokenId: json.mask_token_id ?? undefined,
			norm,
			finalNorm: norm,
			rotaryTheta: json.rope_theta ?? 1e4,
			qkvBias: bias || (json.include_qkv_bias ?? false),
			attentionOutputBias: bias,
			mlpBias: bias,
			headBias: bias && !(json.weight_tying ?? true),
			tiedHead: json.weight_tying ?? true,
		};
	},
	write: config => ({
		model_type: 'llada',
		architectures: ['LLaDAModelLM'],
		n_layers: config.layers,
		n_heads: config.heads,
		n_kv_heads: config.kvHeads,
		d_model: config.width,
		mlp_hidden_size: config.mlpWidth,
		vocab_size: config.vocabSize,
		embedding_size: config.vocabSize,
		max_sequence_length: config.contextLength,
		mask_token_id: config.maskTokenId,
		block_type: 'llama',
		activation_type: 'silu',
		layer_norm_type: config.norm.kind === 'rms' ? 'rms' : 'default',
		layer_norm_with_affine: true,
		rms_norm_eps: config.norm.eps,
		bias_for_layer_norm: config.norm.bias,
		include_bias: config.mlpBias,
		include_qkv_bias: config.qkvBias,
		weight_tying: config.tiedHead,
		rope: true,
		rope_theta: config.rotaryTheta,
		alibi: false,
		input_emb_norm: false,
		scale_logits: false,
	}),
};
