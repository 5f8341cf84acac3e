// A comparison with PyTorch as text for a terminal.

const milliseconds = value => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const exponent = value => (value === 0 ? '0' : value.toExponential(1));
const mebibytes = bytes => (bytes / 2 ** 20).toFixed(1);
const line = (name, cells) => `  ${name.padEnd(32)}${cells.map(([text, width]) => text.padStart(width)).join('')}`;

/** The report of torch.mjs as lines. */
export function table(report) {
	const {command, date, device, node, load, dllmNative, dtype, torch, peerInstructions, threads} = report;
	const gpu = torch.gpu ? ` on ${torch.gpu}, CUDA ${torch.cuda}, cuDNN ${torch.cudnn}` : '';
	return [
		`${command}   ${date}`,
		`${device.processor}, ${device.system}, Node ${node}, ${threads} thread(s); load average ${load.join(' → ')}`,
		`dllm-native ${dllmNative}: ${dtype}, instruction set ${device.instructionSet}`,
		`PyTorch ${torch.torch}${gpu}: own kernels ${torch.capability}; products ${describeMkl(torch.mkl)}`,
		...restriction(peerInstructions),
		...report.sizes.flatMap(size => sizeLines(size, dtype, peerInstructions)),
	].join('\n');
}

function describeMkl(mkl) {
	if (mkl === null) return 'without MKL';
	const [, instructions = ''] = mkl.match(/architecture(.*?)(?:enabled processors|$)/) ?? [];
	const names = [...instructions.matchAll(/Intel\(R\) (AVX[\w-]*)/g)].map(([, name]) => name);
	return `by MKL, which names ${names.at(-1) ?? 'no vector instructions'}`;
}

const restriction = instructions =>
	instructions
		? [`PyTorch is kept to ${instructions.toUpperCase()}, as its products are where MKL does not use AVX-512`]
		: [];

function sizeLines(size, dtype, instructions) {
	const {name, architecture, model, parameterCount, batch, context} = size;
	const shape = `${model.layers} layers, ${model.heads} heads, width ${model.width}, ${parameterCount} parameters, ${architecture}`;
	return [
		'',
		`${name}: ${shape}; ${batch} × ${context} tokens a step${instructions ? `; PyTorch kept to ${instructions}` : ''}`,
		...(size.milliseconds ? timeLines(size, dtype) : []),
		...(size.modes ? agreementLines(size.modes) : []),
		...(size.products ? productLines(size.products) : []),
		...(size.memory ? memoryLines(size.memory) : []),
	];
}

function timeLines({milliseconds: ours, modes, headline, batch, context}, dtype) {
	const cells = ({median, lowest, highest, count}) => [
		[milliseconds(median), 9],
		[`${milliseconds(lowest)} – ${milliseconds(highest)}`, 17],
		[String(count), 7],
		[((batch * context) / median).toPrecision(3), 10],
	];
	const head = [
		['ms', 9],
		['spread', 17],
		['count', 7],
		['tokens/ms', 10],
		['slower than ours', 18],
		['spread', 15],
	];
	return [
		line('training step', head),
		line(`dllm-native ${dtype}`, cells(ours)),
		...modes.map(({name, milliseconds: theirs, ratio, failure}) =>
			failure === undefined
				? line(name, [
						...cells(theirs),
						[`${ratio.median.toFixed(2)} ×`, 18],
						[`${ratio.lowest.toFixed(2)} – ${ratio.highest.toFixed(2)}`, 15],
					])
				: `  ${name}: ${failure}`,
		),
		...Object.entries(headline).map(
			([group, {mode, median}]) => `  ${quote(group, dtype)}: ${median.toFixed(2)} × (${mode})`,
		),
	];
}

const groups = {
	bfloat16: 'bfloat16 autocast',
	compiledAll: 'compiled with logits at all positions',
	compiledMasked: 'compiled with logits at masked positions',
};

function quote(group, dtype) {
	if (group === 'fastest') return `dllm-native against PyTorch's fastest ${dtype} mode`;
	return `  against ${groups[group] ?? group}`;
}

function agreementLines(modes) {
	return ['float32', 'bfloat16'].flatMap(dtype => {
		const own = modes.filter(mode => mode.dtype === dtype && mode.agreement !== undefined);
		if (own.length === 0) return [];
		const largest = Math.max(...own.map(({agreement}) => agreement.largestDifference));
		return [`  losses of ${own[0].agreement.steps} steps, ${dtype} modes: within ${exponent(largest)}`];
	});
}

function productLines(products) {
	const rate = value => (value / 1e9).toFixed(1);
	return [
		line('products rows × in × out, GFLOP/s', [
			['ours', 9],
			['PyTorch', 9],
			['ratio', 8],
		]),
		...products.map(({rows, in: inner, out, kind, ours, torch}) =>
			line(`  ${kind} ${rows} × ${inner} × ${out}`, [
				[rate(ours), 9],
				[rate(torch), 9],
				[(ours / torch).toFixed(2), 8],
			]),
		),
	];
}

function memoryLines({failure, ours, torch}) {
	if (failure) return [`  memory ${failure}`];
	return [
		line('memory of a step, MiB', [
			['growth', 9],
			['baseline', 10],
			['ratio', 8],
		]),
		line('  dllm-native', [
			[mebibytes(ours.growth), 9],
			[mebibytes(ours.baseline), 10],
		]),
		...torch.map(({name, growth, baseline, ratio, failure: problem}) =>
			problem === undefined
				? line(`  ${name}`, [
						[mebibytes(growth), 9],
						[mebibytes(baseline), 10],
						[`${ratio.toFixed(2)} ×`, 8],
					])
				: `  ${name}: ${problem}`,
		),
	];
}
