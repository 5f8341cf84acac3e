// Our own config.json: LLaMA's keys; whatever departs from the family's defaults is in the `dllm_native` object.
import {z} from 'zod';
import {epsilon, type FamilyFormat, flag, headCount, layerCount, size, theta, tokenId} from './format.js';

const schema = z.looseObject({
	num_hidden_layers: layerCount,
	num_attention_heads: headCount,
	num_key_value_heads: headCount,
	hidden_size: size,
	intermediate_size: size,
	vocab_size: size,
	max_position_embeddings: size,
	mask_token_id: tokenId,
	hidden_act: z.enum(['gelu_pytorch_tanh', 'silu']),
	rms_norm_eps: epsilon,
	rope_theta: theta,
	tie_word_embeddings: flag,
});

export const dllmNative: FamilyFormat<typeof schema> = {
	schema,
	read(json) {
		const norm = {kind: 'rms', eps: json.rms_norm_eps, bias: false} as const;
		return {
			family: 'dllm_native',
			layers: json.num_hidden_layers,
			heads: json.num_attention_heads,
			kvHeads: json.num_key_value_heads,
			width: json.hidden_size,
			mlpWidth: json.intermediate_size,
			vocabSize: json.vocab_size,
			contextLength: json.max_position_embeddings,
			maskTokenId: json.mask_token_id,
			norm,
			finalNorm: norm,
			rotaryTheta: json.rope_theta,
			mlp: json.hidden_act === 'silu' ? 'swiglu' : 'gelu', // LLaMA's SiLU has a gate
			tiedHead: json.tie_word_embeddings,
		};
	},
	write: config => ({
		model_type: 'dllm_native',
		num_hidden_layers: config.layers,
		num_attention_heads: config.heads,
		num_key_value_heads: config.kvHeads,
		hidden_size: config.width,
		intermediate_size: config.mlpWidth,
		vocab_size: config.vocabSize,
		max_position_embeddings: config.contextLength,
		mask_token_id: config.maskTokenId,
		hidden_act: config.mlp === 'gelu' ? 'gelu_pytorch_tanh' : 'silu',
		rms_norm_eps: config.norm.eps,
		rope_theta: config.rotaryTheta,
		tie_word_embeddings: config.tiedHead,
	}),
};
