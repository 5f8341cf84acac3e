// AdamW as our trainer has it: gradients clipped to a global norm, decoupled decay on tensors with at least two dimensions.

/** @param weights a tf.Variable per name */
export function createOptimizer(tf, weights, {learningRate, betas, epsilon, weightDecay, gradientClip}) {
	const [beta1, beta2] = betas;
	const moments = Object.fromEntries(
		Object.entries(weights).map(([name, weight]) => [
			name,
			[0, 1].map(() => tf.variable(tf.zeros(weight.shape), false)),
		]),
	);
	let updates = 0;

	/** Updates the weights; the caller disposes of the gradients. */
	return function update(gradients) {
		updates++;
		const rate = learningRate / (1 - beta1 ** updates);
		const rootCorrection = Math.sqrt(1 - beta2 ** updates);
		tf.tidy(() => {
			const squares = Object.values(gradients).map(gradient => tf.sum(tf.square(gradient)));
			const norm = tf.sqrt(tf.addN(squares));
			const scale = tf.minimum(1, tf.div(gradientClip, tf.add(norm, 1e-6)));
			// scalars as tensors, made once; the factors 1 - beta go into the gradient's scale
			const scale1 = tf.mul(scale, 1 - beta1);
			const scale2 = tf.mul(scale, Math.sqrt(1 - beta2));
			const [decay1, decay2] = betas.map(beta => tf.scalar(beta));
			const keep = tf.scalar(1 - learningRate * weightDecay);
			const rootFactor = tf.scalar(1 / (rootCorrection * rate));
			const rootOffset = tf.scalar(epsilon / rate);
			for (const [name, weight] of Object.entries(weights)) {
				const [first, second] = moments[name];
				tf.tidy(() => {
					const gradient = gradients[name];
					first.assign(tf.add(tf.mul(first, decay1), tf.mul(gradient, scale1)));
					second.assign(tf.add(tf.mul(second, decay2), tf.square(tf.mul(gradient, scale2))));
					// rate * m / (sqrt(v) / rootCorrection + epsilon), with the rate divided out
					const change = tf.div(first, tf.add(tf.mul(tf.sqrt(second), rootFactor), rootOffset));
					weight.assign(tf.sub(weight.rank >= 2 ? tf.mul(weight, keep) : weight, change));
				});
			}
		});
	};
}
