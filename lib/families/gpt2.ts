// GPT-2's config.json (Hugging Face `GPT2Config`), also used by DiffuGPT.
import {z} from 'zod';
import {epsilon, type FamilyFormat, flag, headCount, layerCount, only, size, tokenId} from './format.js';

const schema = z.looseObject({
	n_layer: layerCount,
	n_head: headCount,
	n_embd: size,
	n_positions: size,
	n_inner: size.nullish(),
	vocab_size: size,
	mask_token_id: tokenId.nullish(),
	layer_norm_epsilon: epsilon.nullish(),
	activation_function: z.enum(['gelu_new', 'gelu_pytorch_tanh']).nullish(),
	tie_word_embeddings: flag.nullish(),
	scale_attn_weights: only(true),
	scale_attn_by_inverse_layer_idx: only(false),
	add_cross_attention: only(false),
});

export const gpt2: FamilyFormat<typeof schema> = {
	schema,
	read(json) {
		const norm = {kind: 'layer', eps: json.layer_norm_epsilon ?? 1e-5, bias: true} as const;
		return {
			family: 'gpt2',
			layers: json.n_layer,
			heads: json.n_head,
			width: json.n_embd,
			mlpWidth: json.n_inner ?? 4 * json.n_embd,
			vocabSize: json.vocab_size,
			contextLength: json.n_positions,
			maskTokenId: json.mask_token_id ?? undefined,
			norm,
			finalNorm: norm,
			tiedHead: json.tie_word_embeddings ?? true,
		};
	},
	write: config => ({
		model_type: 'gpt2',
		architectures: ['GPT2LMHeadModel'],
		n_layer: config.layers,
		n_head: config.heads,
		n_embd: config.width,
		n_positions: config.contextLength,
		n_ctx: config.contextLength,
		n_inner: config.mlpWidth,
		vocab_size: config.vocabSize,
		mask_token_id: config.maskTokenId,
		layer_norm_epsilon: config.norm.eps,
		activation_function: 'gelu_new',
		tie_word_embeddings: config.tiedHead,
	}),
};
