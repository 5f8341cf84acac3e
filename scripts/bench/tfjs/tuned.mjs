// The model written for speed on tfjs's wasm backend: blocks with hand-written gradients (tf.customGrad). There, only an
// untransposed product of two matrices is fast (XNNPACK; batched and transposed ones take a scalar loop, 10 to 40 times slower),
// a slice copies its whole input, and tanh is scalar while sigmoid is vectorised. Hence sequences one after the other, heads by
// slices of the weights, explicit transposes, GELU by sigmoid, and column sums as products with a row of ones.
import {createBlocks} from './tuned-blocks.mjs';

/** As createStock. */
export function createTuned(tf, shape, weights) {
	const {layers, heads, width} = shape;
	const {attentionBlock, mlpBlock, embed, headLoss, headLogits, queryScale} = createBlocks(tf, shape);
	const variables = Object.values(weights);
	const get = (prefix, list) =>
		list.flatMap(name => [weights[`${prefix}${name}.weight`], weights[`${prefix}${name}.bias`]]);

	/** What the products need of the weights, made once for all sequences: transposes, and slices per head. */
	function prepare(forGradients) {
		return tf.tidy(() => {
			const transposed = name => (forGradients ? tf.transpose(weights[name]) : undefined);
			const blocks = Array.from({length: layers}, (_, layer) => {
				const prefix = `h.${layer}.`;
				const projT = transposed(`${prefix}attn.c_proj.weight`);
				return {
					// query, key and value weights (C, D) and biases (D) of each head, the query's scaled
					head: tf.split(tf.mul(weights[`${prefix}attn.c_attn.weight`], queryScale), 3 * heads, 1),
					headBias: tf.split(tf.mul(weights[`${prefix}attn.c_attn.bias`], queryScale), 3 * heads),
					qkvT: transposed(`${prefix}attn.c_attn.weight`),
					projT: projT && tf.split(projT, heads, 1), // (C, D) each
					upT: transposed(`${prefix}mlp.c_fc.weight`),
					downT: transposed(`${prefix}mlp.c_proj.weight`),
				};
			});
			return {blocks, tableT: tf.transpose(weights['wte.weight'])};
		});
	}

	function disposePrepared({blocks, tableT}) {
		tf.dispose([tableT, blocks.map(block => Object.values(block).filter(Boolean))]);
	}

	// tokens: T ids -> (T, C)
	function hidden(tokens, {blocks}) {
		const positions = tf.slice(weights['wpe.weight'], [0, 0], [tokens.length, width]);
		let x = embed(tokens)(weights['wte.weight'], positions);
		for (const [layer, block] of blocks.entries()) {
			x = attentionBlock(block)(x, ...get(`h.${layer}.`, ['ln_1', 'attn.c_attn', 'attn.c_proj']));
			x = mlpBlock(block)(x, ...get(`h.${layer}.`, ['ln_2', 'mlp.c_fc', 'mlp.c_proj']));
		}

		return x;
	}

	function add(a, b) {
		const sum = tf.tidy(() => ({
			loss: tf.add(a.loss, b.loss),
			gradients: Object.fromEntries(
				Object.entries(a.gradients).map(([name, gradient]) => [name, tf.add(gradient, b.gradients[name])]),
			),
		}));
		tf.dispose([a, b]);
		return sum;
	}

	return {
		lossAndGradients({tokens, targets, lossWeights, batch, length}) {
			const prepared = prepare(true);
			let sum;
			for (let row = 0; row < batch; row++) {
				const part = array => array.subarray(row * length, (row + 1) * length);
				const {value, grads} = tf.variableGrads(() => {
					const loss = headLoss(prepared, part(targets), part(lossWeights));
					return loss(hidden(part(tokens), prepared), ...get('', ['ln_f']), weights['wte.weight']);
				}, variables);
				const next = {loss: value, gradients: grads};
				sum = sum ? add(sum, next) : next;
			}

			disposePrepared(prepared);
			return sum;
		},
		predictor() {
			const prepared = prepare(false);
			return {
				predict: canvas => tf.tidy(() => headLogits(prepared, hidden(canvas, prepared), ...get('', ['ln_f']))),
				dispose: () => disposePrepared(prepared),
			};
		},
	};
}
