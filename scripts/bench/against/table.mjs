// A comparison as text for a terminal.

const milliseconds = value => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const spread = ({lowest, highest}) => `${milliseconds(lowest)} – ${milliseconds(highest)}`;
const exponent = value => (value === 0 ? '0' : value.toExponential(0));

/** The report of tfjs.mjs as lines. */
export function table(report) {
	const {command, date, device, node, dllmNative, load, sizes} = report;
	const {tfjs} = sizes.flatMap(({peers}) => peers.flatMap(({facts}) => facts ?? []))[0] ?? {};
	return [
		`${command}   ${date}`,
		`${device.processor}, instruction set ${device.instructionSet}, Node ${node}`,
		`dllm-native ${dllmNative}, ${device.threads} thread; tfjs ${tfjs ?? 'not run'}; load average ${load.join(' → ')}`,
		...sizes.flatMap(sizeLines),
	].join('\n');
}

function sizeLines(size) {
	const {name, layers, heads, width, context, batch, parameterCount, samplePasses, peers} = size;
	const tokens = samplePasses > 0 ? `; sampling ${context} tokens in ${samplePasses} passes` : '';
	const shape = `${layers} layers, ${heads} heads, width ${width}, ${parameterCount} parameters`;
	const title = `${name}: ${shape}; training ${batch} × ${context} tokens${tokens}`;
	return [
		'',
		title,
		...workload(size, 'train', 'training step'),
		...workload(size, 'sample', 'sample'),
		...peers.flatMap(peer => agreementLine(peer, size.train !== undefined)),
	];
}

function workload({peers, ...size}, key, label) {
	if (size[key] === undefined) return [];
	const line = (name, cells) => `  ${name.padEnd(24)}${cells.map(([text, width]) => text.padStart(width)).join('')}`;
	return [
		line(label, [
			['ms', 9],
			['spread', 19],
			['slower than ours', 20],
			['spread', 17],
		]),
		line('dllm-native', [
			[milliseconds(size[key].median), 9],
			[spread(size[key]), 19],
		]),
		...peers.map(peer => {
			const name = peerName(peer);
			const times = peer[key];
			if (times?.milliseconds === undefined) return `  ${name.padEnd(24)}  ${times?.failure ?? peer.failure}`;
			const {lowest, highest, median} = times.ratio;
			return line(name, [
				[milliseconds(times.milliseconds.median), 9],
				[spread(times.milliseconds), 19],
				[`${median.toFixed(1)} ×`, 20],
				[`${lowest.toFixed(1)} – ${highest.toFixed(1)}`, 17],
			]);
		}),
	];
}

function peerName({backend, variant, facts}) {
	const threads = facts?.threads > 1 ? ` ${facts.threads} threads` : '';
	return `tfjs ${backend}${variant ? `, ${variant}` : ''}${threads}`;
}

// What keeps a peer from being timed stands in the table already, where there is one.
function agreementLine({agreement, ...peer}, isTimed) {
	if (peer.failure !== undefined && !isTimed) return [`  ${peerName(peer)}: ${peer.failure}`];
	if (agreement === undefined) return [];
	const {loss, gradients, losses, steps, sample} = agreement;
	const parts = [`loss ${exponent(loss)}`, `gradients ${exponent(gradients)}`];
	if (steps !== undefined) parts.push(`losses of ${steps} steps ${exponent(losses)}`);
	if (sample !== undefined) {
		const tie = sample.equal < sample.length ? ` (a choice was a tie: margin ${exponent(sample.margin)})` : '';
		parts.push(`${sample.equal} of ${sample.length} sampled tokens equal${tie}`);
	}

	return [`  agrees with ${peerName(peer)}: ${parts.join(', ')}`];
}
