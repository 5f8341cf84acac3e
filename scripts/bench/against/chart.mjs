// A comparison as an SVG: for each size a row per side, and in it the medians of a training step and of a sample on a logarithmic
// scale, with the spread of the rounds. Written out by hand, since dots, lines and text need no library.

const ROW = 22;
const LABELS = 150;
const PANEL = 330;
const GAP = 40;
const MARGIN = 24;
const WIDTH = MARGIN + LABELS + 2 * PANEL + GAP + MARGIN;
const HEADING = 108;
const panels = [
	{key: 'train', title: 'training step', left: MARGIN + LABELS},
	{key: 'sample', title: 'sample', left: MARGIN + LABELS + PANEL + GAP},
];

// Room for the label to the right of the slowest dot.
const TEXT_ROOM = 104;

const style = `
	text { font: 12px system-ui, sans-serif; fill: #1f2937; }
	.title { font-size: 16px; font-weight: 600; }
	.size, .ours, tspan.ours { font-weight: 600; }
	.quiet, tspan.quiet { fill: #6b7280; }
	.tick { font-size: 10px; fill: #6b7280; }
	.grid { stroke: #e5e7eb; }
	.spread { stroke-width: 2; stroke: #94a3b8; }
	.dot { fill: #64748b; }
	.spread.own { stroke: #93c5fd; }
	.dot.own { fill: #2563eb; }
	.back { fill: #ffffff; }
	@media (prefers-color-scheme: dark) {
		text { fill: #e5e7eb; }
		.quiet, tspan.quiet, .tick { fill: #9ca3af; }
		.grid { stroke: #374151; }
		.spread { stroke: #64748b; }
		.dot { fill: #94a3b8; }
		.spread.own { stroke: #1d4ed8; }
		.dot.own { fill: #60a5fa; }
		.back { fill: #0d1117; }
	}`;

const escapeXml = text => String(text).replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);
const round = value => value.toFixed(1);

function text(x, y, content, {anchor = 'start', kind = ''} = {}) {
	return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" class="${kind}">${escapeXml(content)}</text>`;
}

function line(x1, y1, x2, y2, kind) {
	return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${kind}"/>`;
}

function duration(milliseconds) {
	if (milliseconds >= 1000) return `${(milliseconds / 1000).toPrecision(3)} s`;
	return `${milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds.toPrecision(3)} ms`;
}

/** Rows of a size: ours, then every peer that has run, the fastest at training first. What was not installed has no row. */
function rowsOf(size) {
	const peers = size.peers
		.filter(({facts}) => facts)
		.map(peer => ({
			label: `tfjs ${peer.backend}, ${peer.variant}`,
			train: peer.train?.milliseconds && {...peer.train.milliseconds, ratio: peer.train.ratio.median},
			sample: peer.sample?.milliseconds && {...peer.sample.milliseconds, ratio: peer.sample.ratio.median},
			failure: peer.failure ?? peer.train?.failure ?? peer.sample?.failure,
		}));
	const order = peer => peer.train?.median ?? Number.POSITIVE_INFINITY;
	peers.sort((a, b) => Math.sign(order(a) - order(b)) || 0); // two that have none: NaN
	return [{label: 'dllm-native', isOurs: true, train: size.train, sample: size.sample}, ...peers];
}

/** A scale over whole decades that hold all values of one kind. */
function createScale(sizes, key, left) {
	const values = sizes.flatMap(size =>
		rowsOf(size).flatMap(row => (row[key] ? [row[key].lowest, row[key].highest] : [])),
	);
	const first = Math.floor(Math.log10(Math.min(...values)));
	const last = Math.ceil(Math.log10(Math.max(...values)));
	const decade = (PANEL - TEXT_ROOM) / Math.max(1, last - first);
	return {
		at: milliseconds => left + (Math.log10(milliseconds) - first) * decade,
		ticks: Array.from({length: last - first + 1}, (_, index) => 10 ** (first + index)),
	};
}

const tickLabel = milliseconds => (milliseconds >= 1000 ? `${milliseconds / 1000} s` : `${milliseconds} ms`);

function drawValue(value, {at}, y, isOurs) {
	const own = isOurs ? ' own' : '';
	const x = round(Math.max(at(value.highest), at(value.median) + 5) + 6);
	const [strong, quiet] = isOurs ? [duration(value.median), ''] : [ratio(value.ratio), duration(value.median)];
	return [
		line(at(value.lowest), y, at(value.highest), y, `spread${own}`),
		`<circle cx="${round(at(value.median))}" cy="${round(y)}" r="4.5" class="dot${own}"/>`,
		`<text x="${x}" y="${round(y + 4)}"><tspan class="ours">${strong}</tspan> <tspan class="quiet">${quiet}</tspan></text>`,
	];
}

const ratio = value => `${value >= 10 ? value.toFixed(0) : value.toFixed(1)}×`;

function drawSize(size, scales, top) {
	const rows = rowsOf(size);
	const bottom = top + 12 + rows.length * ROW;
	const shape = `${size.layers} layers, width ${size.width}, ${size.batch} × ${size.context} tokens a step`;
	const sampled = size.sample ? `, sample of ${size.context} tokens in ${size.samplePasses} passes` : '';
	const parts = [
		text(MARGIN, top, `${size.name}`, {kind: 'size'}),
		text(MARGIN + LABELS, top, shape + sampled, {kind: 'quiet'}),
	];
	for (const {key} of panels) {
		if (!size[key]) continue;
		for (const tick of scales[key].ticks) {
			parts.push(line(scales[key].at(tick), top + 10, scales[key].at(tick), bottom, 'grid'));
		}
	}

	for (const [index, row] of rows.entries()) {
		const y = top + 12 + (index + 0.5) * ROW;
		parts.push(text(MARGIN, y + 4, row.label, {kind: row.isOurs ? 'ours' : ''}));
		for (const {key, left} of panels) {
			if (row[key]) parts.push(...drawValue(row[key], scales[key], y, row.isOurs));
			else if (row.failure && size[key]) parts.push(text(left, y + 4, shorten(row.failure), {kind: 'quiet'}));
		}
	}

	return {parts, bottom};
}

const shorten = message => (message.length > 48 ? `${message.slice(0, 47)}…` : message);

/** The report of tfjs.mjs as an SVG. */
export function chart({sizes, device, node, dllmNative, date}) {
	const scales = Object.fromEntries(
		panels.filter(({key}) => sizes.some(size => size[key])).map(({key, left}) => [key, createScale(sizes, key, left)]),
	);
	const parts = [
		text(MARGIN, 34, 'dllm-native and tfjs, one thread each', {kind: 'title'}),
		text(
			MARGIN,
			54,
			`${device.processor}, ${device.instructionSet}; Node ${node}; dllm-native ${dllmNative}; ${date.slice(0, 10)}`,
			{
				kind: 'quiet',
			},
		),
		text(
			MARGIN,
			70,
			'Medians on a logarithmic scale, lines from the fastest to the slowest round; × how much slower than dllm-native',
			{
				kind: 'quiet',
			},
		),
	];
	for (const {key, title, left} of panels) {
		if (!scales[key]) continue;
		parts.push(text(left, 92, title, {kind: 'size'}));
		for (const tick of scales[key].ticks) {
			parts.push(text(scales[key].at(tick), HEADING, tickLabel(tick), {anchor: 'middle', kind: 'tick'}));
		}
	}

	let top = HEADING + 28;
	for (const size of sizes) {
		const drawn = drawSize(size, scales, top);
		parts.push(...drawn.parts);
		top = drawn.bottom + 34;
	}

	const height = top - 10;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
		'<title>Milliseconds of a training step and of a sample: dllm-native and tfjs</title>',
		`<style>${style}\n</style>`,
		`<rect width="${WIDTH}" height="${height}" class="back"/>`,
		...parts,
		'</svg>\n',
	].join('\n');
}
