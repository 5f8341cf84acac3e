// tfjs's side of the comparison, as a process of its own:
//
//   node peer.mjs FOLDER BACKEND VARIANT
//
// FOLDER holds a checkpoint and batches.safetensors. Each line of input is a command as JSON, {"command": name, ...}, and is
// answered by one line of JSON: the result, or {"error": message}. The first line, unasked, says what runs.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import {createInterface} from 'node:readline';
import {readBatches} from '../against/batch-file.mjs';
import {recipe} from '../against/sizes.mjs';
import {takeTurn} from '../against/turn.mjs';
import {readTensors, writeTensors} from '../tensors.mjs';
import {openBackend} from './backends.mjs';
import {fillCanvas} from './canvas.mjs';
import {createOptimizer} from './optimizer.mjs';
import {createStock} from './stock.mjs';
import {createTuned} from './tuned.mjs';

const variants = {stock: createStock, tuned: createTuned};
const [folder, backend, variant] = process.argv.slice(2);

// standard output is for answers: what tfjs and its runtime print is kept for an error's message
const printed = [];
for (const method of ['log', 'info', 'warn', 'error']) console[method] = (...parts) => printed.push(parts.join(' '));

const answer = value => process.stdout.write(`${JSON.stringify(value)}\n`);

function describe(error) {
	const [last] = printed.filter(line => /error|abort|memory|kernel/i.test(line)).slice(-1);
	const message = error instanceof Error ? error.message : String(error);
	return last && !message.includes(last) ? `${message} (${last})` : message;
}

async function start() {
	const {tf, facts} = await openBackend(backend);
	const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
	const shape = {
		layers: config.n_layer,
		heads: config.n_head,
		width: config.n_embd,
		vocabSize: config.vocab_size,
		normEpsilon: config.layer_norm_epsilon,
	};
	const weights = {};
	for (const [name, {shape, data}] of readTensors(path.join(folder, 'model.safetensors'))) {
		weights[name] = tf.variable(tf.tensor(data, shape), true, name);
	}

	const batches = readBatches(path.join(folder, 'batches.safetensors'));
	const model = variants[variant](tf, shape, weights);
	const update = createOptimizer(tf, weights, recipe);
	let completedSteps = 0;

	const commands = {
		/** Writes the gradients of one batch to a file and answers with its loss. */
		async gradients({index, file}) {
			const {loss, gradients} = model.lossAndGradients(batches[index]);
			const [value] = await loss.data();
			const entries = [];
			for (const [name, {shape}] of Object.entries(weights)) {
				entries.push([name, {shape, data: await gradients[name].data()}]);
			}

			writeTensors(file, entries);
			tf.dispose([loss, gradients]);
			return {loss: value};
		},
		async train({steps, least = 1, seconds}) {
			const step = async () => {
				const {loss, gradients} = model.lossAndGradients(batches[completedSteps++ % batches.length]);
				update(gradients);
				const [value] = await loss.data();
				tf.dispose([loss, gradients]);
				return value;
			};
			const {results: losses, milliseconds} = await takeTurn({most: steps, least, seconds}, step);
			return {losses, milliseconds};
		},
		/** Takes the weights of another checkpoint; the optimizer keeps its state. */
		async load({folder}) {
			for (const [name, {shape, data}] of readTensors(path.join(folder, 'model.safetensors'))) {
				const value = tf.tensor(data, shape);
				weights[name].assign(value);
				value.dispose();
			}

			return {};
		},
		async sample({length, passes, count, seconds}) {
			const fill = async () => {
				const {predict, dispose} = model.predictor();
				const logits = async canvas => {
					const tensor = predict(canvas);
					const values = await tensor.data();
					tensor.dispose();
					return values;
				};
				const request = {length, passes, vocabSize: shape.vocabSize, maskTokenId: config.mask_token_id};
				const result = await fillCanvas(logits, request);
				dispose();
				return result;
			};
			const {results, milliseconds} = await takeTurn({most: count, seconds}, fill);
			const {tokens, margin} = results.at(-1);
			return {tokens: [...tokens], margin, milliseconds};
		},
	};
	return {facts, commands};
}

try {
	const {facts, commands} = await start();
	answer(facts);
	for await (const line of createInterface({input: process.stdin})) {
		const {command, ...options} = JSON.parse(line);
		try {
			answer(await commands[command](options));
		} catch (error) {
			answer({error: describe(error)});
		}
	}
} catch (error) {
	answer({error: describe(error)});
}
