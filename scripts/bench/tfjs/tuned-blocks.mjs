// The parts of the tuned model with their gradients, each on the T rows of one sequence: embedding, attention, MLP, head.

const GELU = 2 * Math.sqrt(2 / Math.PI);
const GELU_CUBIC = GELU * 0.044715;

export function createBlocks(tf, {heads, width, vocabSize, normEpsilon}) {
	// constants as tensors: a number would be uploaded at every use
	const constant = value => tf.keep(tf.scalar(value));
	const one = constant(1);
	const epsilon = constant(normEpsilon);
	const [gelu, geluCubic, geluSlope] = [GELU, GELU_CUBIC, 3 * GELU_CUBIC].map(constant);
	// 1 / sqrt(D) for the query's columns of (C, 3C)
	const queryScale = tf.keep(tf.concat([tf.fill([width], 1 / Math.sqrt(width / heads)), tf.ones([2 * width])]));
	const onesOfRows = new Map();

	// x (N, C) -> (C)
	function columnSum(x) {
		const [rows, columns] = x.shape;
		if (!onesOfRows.has(rows)) onesOfRows.set(rows, tf.keep(tf.ones([1, rows])));
		return tf.reshape(tf.matMul(onesOfRows.get(rows), x), [columns]);
	}

	// int32 first: on wasm the kernel writes integers whatever type is asked for
	const oneHot = ids => tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), vocabSize), 'float32');
	const linear = (a, b, bias) => tf.fused.matMul({a, b, bias});
	const weightGradient = (x, dy) => tf.matMul(tf.transpose(x), dy);

	// x (T, C) -> out (T, C), with normalized (T, C) and rstd (T, 1) for the gradient
	function normForward(x, gain, bias) {
		const centered = tf.sub(x, tf.mean(x, 1, true));
		const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centered), 1, true), epsilon));
		const normalized = tf.mul(centered, rstd);
		return {out: tf.add(tf.mul(normalized, gain), bias), normalized, rstd};
	}

	// With g = dout * gain:  dx = rstd * (g - mean(g) - normalized * mean(g * normalized))
	function normBackward(dout, gain, normalized, rstd) {
		const g = tf.mul(dout, gain);
		const correction = tf.mul(normalized, tf.mean(tf.mul(g, normalized), 1, true));
		const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, 1, true)), correction), rstd);
		return [dx, columnSum(tf.mul(dout, normalized)), columnSum(dout)];
	}

	// (table, positions) -> (T, C); gather would be slower on wasm than this product
	const embed = tokens =>
		tf.customGrad((table, positions, save) => {
			const selected = oneHot(tokens);
			save([selected]);
			return {
				value: tf.add(tf.matMul(selected, table), positions),
				gradFunc: (dy, [selected]) => [weightGradient(selected, dy), dy],
			};
		});

	// x (T, C) -> x + proj(attention(norm(x)))
	const attentionBlock = ({head, headBias, qkvT, projT}) =>
		tf.customGrad((x, gain, bias, _qkv, _qkvBias, proj, projBias, save) => {
			const {out: h, normalized, rstd} = normForward(x, gain, bias);
			const [q, k, v] = [0, 1, 2].map(part =>
				Array.from({length: heads}, (_, i) => linear(h, head[part * heads + i], headBias[part * heads + i])),
			);
			const p = q.map((query, i) => tf.softmax(tf.matMul(query, tf.transpose(k[i])))); // (T, T)
			const merged = tf.concat(
				p.map((probability, i) => tf.matMul(probability, v[i])),
				1,
			);
			save([gain, normalized, rstd, h, merged, ...q, ...k, ...v, ...p]);
			return {
				value: tf.add(x, linear(merged, proj, projBias)),
				gradFunc(dy, [gain, normalized, rstd, h, merged, ...perHead]) {
					const dq = [];
					const dk = [];
					const dv = [];
					for (let i = 0; i < heads; i++) {
						const [q, k, v, p] = [0, 1, 2, 3].map(part => perHead[part * heads + i]);
						const dout = tf.matMul(dy, projT[i]); // (T, D)
						dv.push(tf.matMul(tf.transpose(p), dout));
						// softmax:  ds = p * (dp - sum(p * dp))
						const product = tf.mul(tf.matMul(dout, tf.transpose(v)), p);
						const ds = tf.sub(product, tf.mul(p, tf.sum(product, 1, true))); // (T, T)
						dq.push(tf.matMul(ds, k));
						dk.push(tf.matMul(tf.transpose(ds), q));
					}

					const dqkv = tf.mul(tf.concat([...dq, ...dk, ...dv], 1), queryScale);
					const [dx, dgain, dbias] = normBackward(tf.matMul(dqkv, qkvT), gain, normalized, rstd);
					const dproj = weightGradient(merged, dy);
					return [tf.add(dx, dy), dgain, dbias, weightGradient(h, dqkv), columnSum(dqkv), dproj, columnSum(dy)];
				},
			};
		});

	// x (T, C) -> x + down(gelu(up(norm(x))))
	const mlpBlock = ({upT, downT}) =>
		tf.customGrad((x, gain, bias, up, upBias, down, downBias, save) => {
			const {out: h, normalized, rstd} = normForward(x, gain, bias);
			const u = linear(h, up, upBias); // (T, F)
			// 0.5 (1 + tanh(z)) = sigmoid(2z)
			const s = tf.sigmoid(tf.mul(u, tf.add(tf.mul(tf.square(u), geluCubic), gelu)));
			const active = tf.mul(u, s);
			save([gain, normalized, rstd, h, u, s, active]);
			return {
				value: tf.add(x, linear(active, down, downBias)),
				gradFunc(dy, [gain, normalized, rstd, h, u, s, active]) {
					const slope = tf.add(tf.mul(tf.square(u), geluSlope), gelu);
					const derivative = tf.mul(s, tf.add(tf.mul(tf.sub(u, active), slope), one));
					const du = tf.mul(tf.matMul(dy, downT), derivative);
					const [dx, dgain, dbias] = normBackward(tf.matMul(du, upT), gain, normalized, rstd);
					const ddown = weightGradient(active, dy);
					return [tf.add(dx, dy), dgain, dbias, weightGradient(h, du), columnSum(du), ddown, columnSum(dy)];
				},
			};
		});

	// x (T, C) -> sum over rows of weight * -log p(target)
	const headLoss = ({tableT}, targets, lossWeights) =>
		tf.customGrad((x, gain, bias, table, save) => {
			const {out: h, normalized, rstd} = normForward(x, gain, bias);
			const logits = tf.matMul(h, tableT);
			const shifted = tf.sub(logits, tf.max(logits, 1, true));
			const exponentials = tf.exp(shifted);
			const total = tf.sum(exponentials, 1, true);
			const isTarget = oneHot(targets);
			const nll = tf.sub(tf.log(total), tf.sum(tf.mul(shifted, isTarget), 1, true));
			const weight = tf.tensor2d(lossWeights, [lossWeights.length, 1]);
			const dlogits = tf.mul(tf.sub(tf.div(exponentials, total), isTarget), weight);
			save([gain, normalized, rstd, h, dlogits, table]);
			return {
				value: tf.sum(tf.mul(nll, weight)),
				gradFunc(dy, [gain, normalized, rstd, h, dlogits, table]) {
					const scaled = tf.mul(dlogits, dy);
					return [...normBackward(tf.matMul(scaled, table), gain, normalized, rstd), weightGradient(scaled, h)];
				},
			};
		});

	const headLogits = ({tableT}, x, gain, bias) => tf.matMul(normForward(x, gain, bias).out, tableT);

	return {attentionBlock, mlpBlock, embed, headLoss, headLogits, queryScale};
}
