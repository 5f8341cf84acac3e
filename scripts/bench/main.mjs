// npm run bench -- NAME [options]: benchmarks, each a program of its own that times us against a peer in one run.
const benchmarks = {
	torch:
		'training steps against PyTorch (options: --sizes all|NAME,…, --modes all|NAME,…, --threads N, --rounds N, --peer-instructions avx2, --device cpu|cuda, --dtype float32|bfloat16, --sdpa flash,cudnn, --check, --json, --out FILE)',
	scaling:
		'a training step on several threads (options: --sizes all|NAME,…, --threads N,N,…, --rounds N, --json, --out FILE)',
	tfjs: 'training and sampling against tfjs (options: --install, --sizes all|NAME,…, --rounds N, --check, --json, --out FILE)',
	kernels:
		'every op of a training step against the limits of the machine (options: --shape small|nano|baby|baby-batch64|gpt2-batch8|gpt2, --device cpu|cuda:N, --dtype float32|bfloat16, --threads N, --json, --out FILE)',
	products:
		'matrix products at training shapes against MKL and OpenBLAS, on a GPU against cuBLAS (options: --sizes small|baby|gpt2|tiny, --device cpu|cuda:N, --dtype float32|bfloat16, --libraries NAME,…, --rounds N, --threads N, --core NAME, --json, --out FILE)',
	sampling:
		'the share of a sampling step beside its forward pass, on a GPU a step (options: --model gpt2|tiny, --device cpu|cuda:N, --dtype float32|bfloat16, --rounds N, --threads N, --json, --out FILE)',
	decode:
		"a pass over a block with cached keys and values, LLaDA-8B's shape, against the time that its weights take to be read (options: --model llada-8b|tiny, --device cpu|cuda:N, --dtype float32|bfloat16, --commits N, --rounds N, --threads N, --json, --out FILE)",
	startup:
		'seconds until --help and until the first training step (options: --device cpu|cuda:N, --dtype float32|bfloat16, --size NAME, --rounds N, --json, --out FILE)',
	gpu: 'on a machine with a GPU: builds, then runs what is measured there, most important first, each with a time limit (options: --out FOLDER, --only NAME,…, --minutes N, --dry-run)',
	all: 'every benchmark that is kept in docs/benchmarks, and the pages from them (options: --only NAME,…)',
	report: 'docs/benchmarks/README.md and the numbers of README.md, from the reports that are there',
};

const [name] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(benchmarks, name)) {
	const list = Object.entries(benchmarks).map(([key, about]) => `  ${key}  ${about}`);
	console.error(`usage: npm run bench -- NAME [options]\n${list.join('\n')}`);
	process.exit(2);
}

const {run} = await import(`./${name}.mjs`);
try {
	await run(process.argv.slice(3));
} catch (error) {
	if (error.exitCode === undefined) throw error;
	console.error(`error: ${error.message}`);
	process.exitCode = error.exitCode;
}
