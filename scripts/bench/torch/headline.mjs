// The ratios that are quoted: how many times as fast as PyTorch ours is, always to the fastest of the modes in question.

/** The mode that comes closest to ours. */
function fastest(modes) {
	const {name, ratio} = modes.reduce((best, mode) => (mode.ratio.median < best.ratio.median ? mode : best));
	return {mode: name, ...ratio};
}

/** `fastest` is the headline: among the modes that compute in our dtype. Modes that failed and groups of which none was timed are left out. */
export function headline(modes, dtype) {
	const timed = modes.filter(({ratio}) => ratio !== undefined);
	const same = timed.filter(mode => mode.dtype === dtype);
	const compiled = same.filter(({execution}) => execution !== 'eager');
	const groups = {
		fastest: same,
		eager: same.filter(({execution}) => execution === 'eager'),
		compiled,
		compiledAll: compiled.filter(({head}) => head === 'all'),
		compiledMasked: compiled.filter(({head}) => head === 'masked'),
		bfloat16: dtype === 'float32' ? timed.filter(mode => mode.dtype === 'bfloat16') : [],
	};
	return Object.fromEntries(
		Object.entries(groups).flatMap(([group, members]) => (members.length > 0 ? [[group, fastest(members)]] : [])),
	);
}
