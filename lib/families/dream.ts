// Dream's config.json (the keys of Qwen2, whose checkpoints are read as well).
import {z} from 'zod';
import {epsilon, type FamilyFormat, flag, headCount, layerCount, only, size, theta, tokenId} from './format.js';

const schema = z.looseObject({
	num_hidden_layers: layerCount,
	num_attention_heads: headCount,
	num_key_value_heads: headCount.nullish(),
	hidden_size: size,
	intermediate_size: size,
	vocab_size: size,
	max_position_embeddings: size,
	mask_token_id: tokenId.nullish(),
	hidden_act: only('silu'),
	rms_norm_eps: epsilon.nullish(),
	rope_theta: theta.nullish(),
	rope_scaling: z.null().optional(),
	// where newer files put the rotary base
	rope_parameters: z.looseObject({rope_type: only('default'), rope_theta: theta}).nullish(),
	use_sliding_window: only(false),
	tie_word_embeddings: flag.nullish(),
});

export const dream: FamilyFormat<typeof schema> = {
	schema,
	read(json) {
		const norm = {kind: 'rms', eps: json.rms_norm_eps ?? 1e-6, bias: false} as const;
		return {
			family: 'dream',
			layers: json.num_hidden_layers,
			heads: json.num_attention_heads,
			kvHeads: json.num_key_value_heads ?? json.num_attention_heads,
			width: json.hidden_size,
			mlpWidth: json.intermediate_size,
			vocabSize: json.vocab_size,
			contextLength: json.max_position_embeddings,
			maskTokenId: json.mask_token_id ?? undefined,
			norm,
			finalNorm: norm,
			rotaryTheta: json.rope_theta ?? json.rope_parameters?.rope_theta ?? 1e4,
			tiedHead: json.tie_word_embeddings ?? false,
		};
	},
	write: config => ({
		model_type: 'Dream',
		architectures: ['DreamModel'],
		num_hidden_layers: config.layers,
		num_attention_heads: config.heads,
		num_key_value_heads: config.kvHeads,
		hidden_size: config.width,
		intermediate_size: config.mlpWidth,
		vocab_size: config.vocabSize,
		max_position_embeddings: config.contextLength,
		mask_token_id: config.maskTokenId,
		hidden_act: 'silu',
		rms_norm_eps: config.norm.eps,
		rope_theta: config.rotaryTheta,
		tie_word_embeddings: config.tiedHead,
	}),
};
