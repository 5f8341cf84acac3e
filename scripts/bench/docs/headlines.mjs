// The numbers that a newcomer sees first, each taken from a report.

const times = value => `${value.toFixed(value < 10 ? 2 : 0)} ×`;
const percent = value => `${(value * 100).toFixed(1)} %`;
const ratio = ({median, lowest, highest}, format = times) => ({
	result: format(median),
	spread: `${format(lowest)} – ${format(highest)}`,
});

function torchRows(report, note) {
	const [size] = report.sizes;
	const {layers, heads, width} = size.model;
	const work = `training step, ${layers}×${heads}×${width}, ${size.batch} × ${size.context} tokens`;
	const rows = [];
	for (const group of ['eager', 'compiled']) {
		const found = size.headline?.[group];
		if (found)
			rows.push({
				what: `${work}: times as fast as PyTorch ${report.dtype} ${group}${note}`,
				...ratio(found),
				command: report.command,
			});
	}

	const {failure, ours, torch} = size.memory ?? {failure: 'not measured'};
	if (!failure) {
		const all = torch.map(({growth}) => ours.growth / growth);
		const share = {median: Math.max(...all), lowest: Math.min(...all), highest: Math.max(...all)};
		rows.push({
			what: `memory of that step, as a share of PyTorch's`,
			...ratio(share, value => value.toFixed(2)),
			command: report.command,
		});
	}

	return rows;
}

function tfjsRows(report) {
	return report.sizes
		.filter(({name}) => ['small', 'context128'].includes(name))
		.flatMap(({name, layers, heads, width, context, batch, samplePasses, peers}) =>
			peers.flatMap(peer => {
				const rows = [];
				const shape = `${layers}×${heads}×${width}`;
				const against = `times as fast as tfjs ${peer.backend} ${peer.variant ?? ''}`.trim();
				if (name === 'small' && peer.train?.ratio)
					rows.push({
						what: `training step, ${shape}, ${batch} × ${context} tokens: ${against}`,
						...ratio(peer.train.ratio),
						command: report.command,
					});
				if (name === 'context128' && peer.sample?.ratio)
					rows.push({
						what: `sampling ${context} tokens in ${samplePasses} steps, ${shape}: ${against}`,
						...ratio(peer.sample.ratio),
						command: report.command,
					});
				return rows;
			}),
		);
}

/** @param reports by file name of docs/benchmarks/ */
export function headlines(reports) {
	const rows = [];
	const add = (file, make) => {
		const report = reports.get(file);
		if (report !== undefined) rows.push(...make(report));
	};
	for (const file of ['torch-small', 'torch-baby', 'torch-baby-bfloat16']) add(file, report => torchRows(report, ''));
	for (const file of ['torch-small-restricted', 'torch-baby-restricted'])
		add(file, report => torchRows(report, ', PyTorch kept to AVX2'));
	add('torch-avx2', report => torchRows(report, ', both kept to AVX2'));
	for (const file of ['tfjs', 'tfjs-context128']) add(file, tfjsRows);
	add('scaling', ({sizes, command}) =>
		sizes.flatMap(({name, threads}) =>
			threads
				.filter(({speedup}) => speedup)
				.map(({threads: count, speedup}) => ({
					what: `\`${name}\` step on ${count} threads against one`,
					...ratio(speedup),
					command,
				})),
		),
	);
	add('products', ({ratio: ratios, command}) => [
		{
			what: 'matrix products at training shapes against OpenBLAS on its AVX-512 kernels (spread over the shapes)',
			...ratio(ratios.numpy),
			command,
		},
		{what: 'the same against MKL in PyTorch', ...ratio(ratios.torch), command},
	]);
	add('sampling', ({runs, command}) =>
		runs.map(({temperature, overhead}) => ({
			what: `sampling beside its forward pass, GPT-2 124M shape, temperature ${temperature}`,
			...ratio(overhead, percent),
			command,
		})),
	);
	return rows;
}
