// How a prepared dataset is described in its `meta.json`. Imported only where the file is read.
import {z} from 'zod';
import {type Blame, check} from '../config/check.js';
import {checkTokenizer, tokenizerSchema} from '../tokenizers/schema.js';
import {tokenDtype} from './token-file.js';

const metaSchema = z.strictObject({
	formatVersion: z.literal(1),
	/** What the dataset is called; the name of the input unless given. */
	name: z.string().min(1),
	/** Of the ids in `train.bin` and `val.bin`, little endian. */
	dtype: z.enum(['uint16', 'uint32']),
	tokenizer: tokenizerSchema,
	trainTokens: z.int().min(1),
	valTokens: z.int().min(1),
	source: z.strictObject({
		/** Number of text files. */
		files: z.int().min(1),
		/** Bytes of all files. */
		bytes: z.int().min(1),
		/** Of all files one after the other; for a single file, its own. */
		sha256: z.string(),
	}),
});

/** The content of `meta.json`. */
export type DatasetMeta = Readonly<z.output<typeof metaSchema>>;

/** Throws what `fail` makes of the first thing that is wrong. */
export function parseMeta(value: unknown, blame: Blame): DatasetMeta {
	const {name, fail} = blame;
	const meta = check(metaSchema, value, blame);
	checkTokenizer(meta.tokenizer, {name: `${name}: tokenizer`, fail});
	const {vocabSize} = meta.tokenizer;
	if (meta.dtype === 'uint16' && tokenDtype(vocabSize) !== 'uint16') {
		throw fail(`${name}: dtype is "uint16"; accepted: "uint32" for ${vocabSize} ids`);
	}

	if (!/^[0-9a-f]{64}$/.test(meta.source.sha256)) throw fail(`${name}: source.sha256 is not 64 hexadecimal digits`);
	return meta;
}
