// Matrix products at the shapes of training, warm and alone: ours beside PyTorch's MKL and OpenBLAS forced to its AVX-512
// kernels, taking turns.
import {writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {root} from '../files.mjs';
import {buildProgram} from './native-program.mjs';
import {Peer} from './peer.mjs';
import {median, summarize} from './statistics.mjs';

const kinds = ['forward', 'input', 'weight'];

/** The products of one layer of a model of this width over `rows` tokens, as {rows, in, out}. */
export function layerProducts({rows, width}) {
	const shapes = [
		[width, 3 * width],
		[width, width],
		[width, 4 * width],
		[4 * width, width],
	];
	return shapes.map(([inner, outer]) => ({rows, in: inner, out: outer}));
}

function python(library, threads, environment) {
	const peer = path.join(root, 'scripts', 'bench', 'products', 'peer.py');
	const limits = {OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads};
	return new Peer('python3', [peer, library, String(threads)], {...limits, ...environment});
}

/**
 * Each kind of product at each shape: floating-point operations per second of every side, medians of the rounds' medians.
 *
 * @param shapes {rows, in, out}[], as `layerProducts` gives them
 * @param environments by library, `torch` and `numpy` (OpenBLAS): environment variables of its process; absent ones are left out
 * @returns {facts: by side, products: {rows, in, out, kind, ours, torch?, numpy?: {median, lowest, highest}}[]}
 */
export async function measureProducts(
	shapes,
	{threads = 1, rounds = 3, seconds = 0.1, environments = {torch: {}}} = {},
) {
	const sides = new Map([['ours', new Peer(buildProgram('dllm_products'), [], {DLLM_THREADS: String(threads)})]]);
	for (const [library, environment] of Object.entries(environments)) {
		sides.set(library, python(library, String(threads), environment));
	}

	const facts = {};
	for (const [name, side] of sides) facts[name] = await side.read();
	const products = [];
	for (const shape of shapes) {
		for (const kind of kinds) {
			const operations = 2 * shape.rows * shape.in * shape.out;
			const rates = Object.fromEntries([...sides.keys()].map(name => [name, []]));
			for (let round = 0; round < rounds; round++) {
				for (const [name, side] of sides) {
					const {seconds: times} = await side.ask(`${kind} ${shape.rows} ${shape.in} ${shape.out} ${seconds}`);
					rates[name].push(times.map(time => operations / time));
				}
			}

			const summaries = Object.entries(rates).map(([name, all]) => [name, summarize(all)]);
			products.push({...shape, kind, ...Object.fromEntries(summaries)});
		}
	}

	for (const side of sides.values()) side.close();
	return {facts, products};
}

/** Floating-point operations per second of both sides at these shapes, for a report's side note. */
export async function productRates(shapes, {threads = 1, peerEnvironment = {}} = {}) {
	const {products} = await measureProducts(shapes, {threads, rounds: 1, environments: {torch: peerEnvironment}});
	return products.map(({rows, in: inner, out, kind, ours, torch}) => {
		return {rows, in: inner, out, kind, ours: ours.median, torch: torch.median};
	});
}

/** The report as lines. */
export function table({command, date, processor, facts, shapes, ratio}) {
	const names = Object.keys(facts);
	const rate = ({median: middle, lowest, highest}) =>
		`${(middle / 1e9).toFixed(0).padStart(8)} (${(lowest / 1e9).toFixed(0)}–${(highest / 1e9).toFixed(0)})`.padEnd(20);
	const lines = shapes.flatMap(({name, products}) =>
		products.map(
			row =>
				`${name.padEnd(7)}${`${row.kind} ${row.rows} x ${row.in} x ${row.out}`.padEnd(30)}${names.map(side => rate(row[side])).join('')}`,
		),
	);
	return [
		`${command}   ${date}`,
		`${processor}; ours: ${facts.ours.path}; ${Object.entries(facts)
			.filter(([name]) => name !== 'ours')
			.map(([name, {library, core}]) => `${name}: ${library}, ${core}`)
			.join('; ')}`,
		'',
		`${'GFLOP/s, median (rounds)'.padEnd(37)}${names.map(name => name.padStart(8).padEnd(20)).join('')}`,
		...lines,
		'',
		...Object.entries(ratio).map(
			([name, {median: middle, lowest, highest}]) =>
				`ours / ${name}: median ${middle.toFixed(2)}, over the shapes ${lowest.toFixed(2)} – ${highest.toFixed(2)}`,
		),
	].join('\n');
}

export async function run(args) {
	const {values} = parseArgs({
		args,
		options: {
			rounds: {type: 'string', default: '5'},
			threads: {type: 'string', default: '1'},
			core: {type: 'string', default: 'SkylakeX'},
			json: {type: 'boolean', default: false},
			out: {type: 'string'},
		},
	});
	const sizes = {small: {rows: 1024, width: 128}, baby: {rows: 3072, width: 384}};
	const options = {
		threads: Number(values.threads),
		rounds: Number(values.rounds),
		environments: {torch: {}, numpy: {OPENBLAS_CORETYPE: values.core}},
	};
	const shapes = [];
	let facts;
	for (const [name, size] of Object.entries(sizes)) {
		const measured = await measureProducts(layerProducts(size), options);
		facts = measured.facts;
		shapes.push({name, products: measured.products});
	}

	const ratioTo = side => {
		const ratios = shapes.flatMap(({products}) => products.map(row => row.ours.median / row[side].median));
		return {median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios)};
	};
	const report = {
		benchmark: 'products',
		command: ['npm run bench -- products', ...args].join(' '),
		date: new Date().toISOString(),
		processor: os.cpus()[0].model,
		load: os.loadavg()[0],
		threads: options.threads,
		facts,
		shapes,
		ratio: {torch: ratioTo('torch'), numpy: ratioTo('numpy')},
	};
	if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, '\t')}\n`);
	console.log(values.json ? JSON.stringify(report) : table(report));
}
