// The model as one writes it in tfjs: core ops, gradients by tfjs's own autograd. The embedding is a product with one-hot rows,
// since the gradient of `gather` has no kernel on wasm.

const GELU = Math.sqrt(2 / Math.PI);

/** A GPT-2 with full attention of the given shape: {layers, heads, width, vocabSize, normEpsilon}. `weights` holds a tf.Variable per name. */
export function createStock(tf, {layers, heads, width, vocabSize, normEpsilon}, weights) {
	const headWidth = width / heads;
	const variables = Object.values(weights);

	// int32 first: on wasm the kernel writes integers whatever type is asked for
	const oneHot = ids => tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), vocabSize), 'float32');
	const linear = (x, name) => tf.add(tf.matMul(x, weights[`${name}.weight`]), weights[`${name}.bias`]);

	// x (N, C) -> (N, C)
	function layerNorm(x, name) {
		const {mean, variance} = tf.moments(x, 1, true);
		const normalized = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, normEpsilon)));
		return tf.add(tf.mul(normalized, weights[`${name}.weight`]), weights[`${name}.bias`]);
	}

	function gelu(x) {
		const inner = tf.mul(GELU, tf.add(x, tf.mul(0.044715, tf.mul(tf.square(x), x))));
		return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
	}

	// qkv (N, 3C) -> (N, C)
	function attention(qkv, batch, length) {
		const [q, k, v] = tf
			.split(qkv, 3, 1)
			.map(x => tf.transpose(tf.reshape(x, [batch, length, heads, headWidth]), [0, 2, 1, 3])); // (B, H, T, D)
		const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(headWidth)); // (B, H, T, T)
		const out = tf.matMul(tf.softmax(scores), v);
		return tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [batch * length, width]);
	}

	// tokens: B * T ids -> (N, V)
	function logits(tokens, batch, length) {
		const table = weights['wte.weight'];
		const embedded = tf.matMul(oneHot(tokens), table);
		const positions = tf.slice(weights['wpe.weight'], [0, 0], [length, width]);
		let x = tf.reshape(tf.add(tf.reshape(embedded, [batch, length, width]), positions), [batch * length, width]);
		for (let layer = 0; layer < layers; layer++) {
			const qkv = linear(layerNorm(x, `h.${layer}.ln_1`), `h.${layer}.attn.c_attn`);
			x = tf.add(x, linear(attention(qkv, batch, length), `h.${layer}.attn.c_proj`));
			const hidden = gelu(linear(layerNorm(x, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`));
			x = tf.add(x, linear(hidden, `h.${layer}.mlp.c_proj`));
		}

		return tf.matMul(layerNorm(x, 'ln_f'), table, false, true);
	}

	function loss({tokens, targets, lossWeights, batch, length}) {
		const probabilities = tf.logSoftmax(logits(tokens, batch, length));
		const isTarget = oneHot(targets);
		const nll = tf.neg(tf.sum(tf.mul(probabilities, isTarget), 1));
		return tf.sum(tf.mul(nll, tf.tensor1d(lossWeights)));
	}

	return {
		/** The loss (scalar) and its gradient by name; the caller disposes of both. */
		lossAndGradients(batch) {
			const {value, grads} = tf.variableGrads(() => loss(batch), variables);
			return {loss: value, gradients: grads};
		},
		/** A forward pass on one canvas: function of T ids -> logits (T, V). */
		predictor: () => ({predict: canvas => tf.tidy(() => logits(canvas, 1, canvas.length)), dispose() {}}),
	};
}
