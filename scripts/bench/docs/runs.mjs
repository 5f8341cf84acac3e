// The benchmarks whose results are kept in docs/benchmarks/, and how each is run.

/** PyTorch as it is on CPUs whose MKL does not use AVX-512: its libraries are kept to AVX2. */
const restricted = ['--peer-instructions', 'avx2'];

/**
 * `file` is the name in docs/benchmarks/, `bench` the program (`npm run bench -- BENCH ARGS`), `environment` what is set for it,
 * `about` what a reader must know before the numbers.
 */
export const runs = [
	{
		file: 'tfjs',
		bench: 'tfjs',
		args: ['--sizes', 'small,baby-batch12', '--rounds', '2'],
		title: 'Against tfjs',
		about:
			"The same model in tfjs core ops, one thread each. *stock* uses tfjs's own gradients, *tuned* gradients written by hand around what is fast in its wasm backend.",
	},
	{
		file: 'tfjs-context128',
		bench: 'tfjs',
		args: ['--sizes', 'context128', '--backends', 'wasm', '--rounds', '3'],
		title: 'Against tfjs: longer sequences',
		about: 'As above, with 128 tokens a sequence.',
	},
	{
		file: 'torch-small',
		bench: 'torch',
		args: ['--sizes', 'small'],
		title: 'Against PyTorch: a small model',
		about: 'PyTorch as it is installed, one thread each; its products come from MKL.',
	},
	{
		file: 'torch-baby',
		bench: 'torch',
		args: ['--sizes', 'baby', '--modes', 'eager-masked-float32,eager-all-float32,eager-masked-bfloat16'],
		title: 'Against PyTorch: a model of 10 million parameters',
		about: 'Eager modes only: a step takes seconds, and its compiled modes are timed with the small model.',
	},
	{
		file: 'torch-baby-bfloat16',
		bench: 'torch',
		args: [
			'--sizes',
			'baby',
			'--dtype',
			'bfloat16',
			'--modes',
			'eager-masked-bfloat16',
			'--parts',
			'timing',
			'--agreement',
			'10',
			'--rounds',
			'3',
		],
		title: 'bfloat16 products against PyTorch under autocast: a model of 10 million parameters',
		about:
			'Both sides round the operands of their products to bfloat16 and multiply them with the same matrix instructions.',
	},
	{
		file: 'torch-small-restricted',
		bench: 'torch',
		args: ['--sizes', 'small', '--modes', 'float32', ...restricted, '--parts', 'timing,products'],
		title: 'Against PyTorch without AVX-512: a small model',
		about:
			"Where MKL does not use AVX-512 (on AMD processors), PyTorch's products run at the rate of AVX2. This run keeps it to that; the products of both sides are listed, so that it is plain what the ratio rests on.",
	},
	{
		file: 'torch-baby-restricted',
		bench: 'torch',
		args: [
			'--sizes',
			'baby',
			'--modes',
			'eager-masked-float32,eager-all-float32',
			...restricted,
			'--parts',
			'timing,products',
		],
		title: 'Against PyTorch without AVX-512: a model of 10 million parameters',
		about: 'As above.',
	},
	{
		file: 'torch-avx2',
		bench: 'torch',
		args: ['--sizes', 'small', '--modes', 'float32', ...restricted, '--parts', 'timing,products'],
		environment: {DLLM_CPU: 'avx2'},
		title: 'Both sides without AVX-512',
		about: 'Our AVX2 kernels against PyTorch kept to AVX2.',
	},
	{
		file: 'scaling',
		bench: 'scaling',
		args: [],
		title: 'Two threads against one',
		about: 'Our own training step; the bits of the result are the same.',
	},
	{
		file: 'products',
		bench: 'products',
		args: [],
		title: 'Matrix products',
		about:
			'Warm and alone, at the shapes of training: ours, MKL in PyTorch, and OpenBLAS in numpy, told to use its AVX-512 kernels.',
	},
	{
		file: 'sampling',
		bench: 'sampling',
		args: [],
		title: 'What sampling costs beside the forward pass',
		about:
			'Noise, softmax, choice and commitment of tokens, and everything else of a step that is not the transformer.',
	},
	{
		file: 'kernels-small',
		bench: 'kernels',
		args: ['--shape', 'small'],
		title: 'Every op of a step: a small model',
		about: 'Time, operations and bytes of each op, and the fraction it reaches of the limits measured in the same run.',
	},
	{
		file: 'kernels-baby',
		bench: 'kernels',
		args: ['--shape', 'baby'],
		title: 'Every op of a step: a model of 10 million parameters',
		about: 'As above.',
	},
	{
		file: 'startup',
		bench: 'startup',
		args: [],
		title: 'How long it takes to start',
		about: 'From the start of the process.',
	},
];
