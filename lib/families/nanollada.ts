// nanoLLaDA's config.json. The project publishes none: these are the argument names of its model class.
import {z} from 'zod';
import {type FamilyFormat, headCount, layerCount, size, tokenId} from './format.js';

const schema = z.looseObject({
	n_layer: layerCount,
	n_head: headCount,
	n_embd: size,
	block_size: size,
	vocab_size: size,
	mask_token_id: tokenId.nullish(),
});

export const nanollada: FamilyFormat<typeof schema> = {
	schema,
	read: json => ({
		family: 'nanollada',
		layers: json.n_layer,
		heads: json.n_head,
		width: json.n_embd,
		vocabSize: json.vocab_size,
		contextLength: json.block_size,
		maskTokenId: json.mask_token_id ?? undefined,
	}),
	write: config => ({
		model_type: 'nanollada',
		n_layer: config.layers,
		n_head: config.heads,
		n_embd: config.width,
		block_size: config.contextLength,
		vocab_size: config.vocabSize,
		mask_token_id: config.maskTokenId,
	}),
};
