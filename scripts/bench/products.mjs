// Matrix products at the shapes of training, warm and alone, sides taking turns: ours beside PyTorch's MKL and OpenBLAS forced to
// its AVX-512 kernels; on a GPU beside cuBLAS as PyTorch calls it, and cuBLASLt with and without products split along K.
import os from 'node:os';
import path from 'node:path';
import {root} from '../files.mjs';
import {choose, chooseOne, parseOptions} from './against/options.mjs';
import {writeReport} from './against/report.mjs';
import {buildFor, describeGpu} from './cuda.mjs';
import {Peer} from './peer.mjs';
import {median, summarize} from './statistics.mjs';

const kinds = ['forward', 'input', 'weight'];

const sizes = {
	small: {rows: 1024, width: 128, vocabularies: []},
	baby: {rows: 3072, width: 384, vocabularies: []},
	gpt2: {rows: 65_536, width: 768, vocabularies: [50_304, 50_258]},
	tiny: {rows: 32, width: 32, vocabularies: [64, 34]},
};
/** In KiB: room for the parts of a product that is split along K. */
const cublasEnvironment = {CUBLASLT_WORKSPACE_SIZE: '32768'};

const defaultSizes = {cpu: 'small,baby', cuda: 'gpt2'};

/** Libraries beside ours, as products/peer.py names them. */
const libraries = {cpu: ['torch', 'numpy'], cuda: ['torch', 'cublaslt', 'cublaslt-without-split-k']};

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

/** The head's products over the masked half of the rows: with the vocabulary padded to a multiple of 64, and just to aligned rows. */
function headProducts({rows, width, vocabularies}) {
	return vocabularies.map(vocabulary => ({rows: rows / 2, in: width, out: vocabulary, layout: 'out_in'}));
}

function python(library, threads, device, environment) {
	const peer = path.join(root, 'scripts', 'bench', 'products', 'peer.py');
	const limits = {OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads};
	return new Peer('python3', [peer, library, threads, device], {...limits, ...environment});
}

/**
 * Each kind of product at each shape: floating-point operations per second of every side, medians of the rounds' medians.
 *
 * @param shapes {rows, in, out, layout}[], as `layerProducts` gives them; `layout` of the weight is in_out when absent
 * @param environments by library: environment variables of its process; absent ones are left out
 * @returns {facts: by side, leftOut: by library that cannot be compared here why not, products: {rows, in, out, kind, ours, torch?, numpy?: {median, lowest, highest}}[]}
 */
export async function measureProducts(
	shapes,
	{device = 'cpu', dtype = 'float32', threads = 1, rounds = 3, seconds = 0.1, environments = {torch: {}}} = {},
) {
	const {program, env} = buildFor(device, 'dllm_products', String(threads));
	const sides = new Map([['ours', new Peer(program, [device], env)]]);
	for (const [library, environment] of Object.entries(environments)) {
		sides.set(library, python(library, String(threads), device, environment));
	}

	const facts = {};
	const leftOut = {};
	for (const [name, side] of [...sides]) {
		const {leftOut: reason, ...own} = await side.read();
		if (reason === undefined) {
			facts[name] = own;
			continue;
		}

		leftOut[name] = reason;
		side.close();
		sides.delete(name);
	}

	const products = [];
	for (const shape of shapes) {
		for (const kind of kinds) {
			const operations = 2 * shape.rows * shape.in * shape.out;
			const rates = Object.fromEntries([...sides.keys()].map(name => [name, []]));
			for (let round = 0; round < rounds; round++) {
				for (const [name, side] of sides) {
					const {rows, in: inner, out, layout = 'in_out'} = shape;
					const {seconds: times} = await side.ask([kind, rows, inner, out, seconds, dtype, layout].join(' '));
					rates[name].push(times.map(time => operations / time));
				}
			}

			const summaries = Object.entries(rates).map(([name, all]) => [
				name,
				{...summarize(all), rounds: all.map(median)},
			]);
			products.push({...shape, kind, ...Object.fromEntries(summaries)});
		}
	}

	for (const side of sides.values()) side.close();
	return {facts, leftOut, products};
}

/** Floating-point operations per second of both sides at these shapes, for a report's side note. */
export async function productRates(shapes, {threads = 1, peerEnvironment = {}} = {}) {
	const {products} = await measureProducts(shapes, {threads, rounds: 1, environments: {torch: peerEnvironment}});
	return products.map(({rows, in: inner, out, kind, ours, torch}) => {
		return {rows, in: inner, out, kind, ours: ours.median, torch: torch.median};
	});
}

/** The report as lines. */
export function table({command, date, processor, facts, leftOut = {}, shapes, ratio}) {
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
		...Object.entries(leftOut).map(([name, reason]) => `without ${name}: ${reason}`),
	].join('\n');
}

export async function run(args) {
	const values = parseOptions(args, {
		sizes: {type: 'string'},
		device: {type: 'string', default: 'cpu'},
		dtype: {type: 'string', default: 'float32'},
		libraries: {type: 'string', default: 'all'},
		rounds: {type: 'string', default: '5'},
		threads: {type: 'string', default: '1'},
		core: {type: 'string', default: 'SkylakeX'},
		json: {type: 'boolean', default: false},
		out: {type: 'string'},
	});
	const {device, dtype} = values;
	const kind = device === 'cpu' ? 'cpu' : 'cuda';
	chooseOne('dtype', dtype, ['float32', 'bfloat16']);
	const chosen = choose('libraries', values.libraries, libraries[kind]);
	const options = {
		device,
		dtype,
		threads: Number(values.threads),
		rounds: Number(values.rounds),
		environments: Object.fromEntries(
			chosen.map(name => [name, name === 'numpy' ? {OPENBLAS_CORETYPE: values.core} : cublasEnvironment]),
		),
	};
	const shapes = [];
	let facts;
	let leftOut;
	for (const name of choose('sizes', values.sizes ?? defaultSizes[kind], Object.keys(sizes))) {
		const size = sizes[name];
		const measured = await measureProducts([...layerProducts(size), ...headProducts(size)], options);
		({facts, leftOut} = measured);
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
		...(await describeGpu(device)),
		dtype,
		threads: options.threads,
		facts,
		leftOut,
		shapes,
		ratio: Object.fromEntries(chosen.filter(name => facts[name]).map(name => [name, ratioTo(name)])),
	};
	if (values.out !== undefined) writeReport(values.out, report);
	console.log(values.json ? JSON.stringify(report) : table(report));
}
