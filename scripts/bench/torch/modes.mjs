// The ways in which PyTorch is run: each is a process of its own.
import {UsageError} from '../against/options.mjs';

const executions = {cpu: ['eager', 'compiled'], cuda: ['eager', 'compiled', 'cudagraphs']};
const heads = ['all', 'masked'];

/** What can be asked for; for bfloat16 alone, since these kernels take no float32. */
export const attentionKernels = ['flash', 'cudnn'];

/**
 * Every mode of a device.
 *
 * `execution`: eager, torch.compile, or torch.compile with CUDA graphs. `head`: logits at all positions, or at masked ones alone.
 * `dtype`: bfloat16 is torch.autocast. `attention`: PyTorch's own choice when undefined.
 *
 * @param attention Kernels, each of which makes a mode of its own; PyTorch's own choice when empty.
 * @param instructions What the CPU is kept to, if anything: none of those sets has bfloat16, whose emulation is no mode to compare.
 */
export function listModes({device, attention, instructions}) {
	return executions[device].flatMap(execution =>
		heads.flatMap(head =>
			(instructions ? ['float32'] : ['float32', 'bfloat16']).flatMap(dtype => {
				const kernels = dtype === 'bfloat16' && attention.length > 0 ? attention : [undefined];
				return kernels.map(kernel => {
					const name = [execution, head, dtype, kernel].filter(Boolean).join('-');
					return {name, execution, head, dtype, attention: kernel};
				});
			}),
		),
	);
}

/** Modes that have every word of one of the terms: `eager,compiled-masked` are all eager ones, and the compiled ones with that head. */
export function chooseModes(text, modes) {
	if (text === 'all') return modes;
	const chosen = new Set();
	for (const term of text.split(',')) {
		const found = modes.filter(({name}) => term.split('-').every(word => name.split('-').includes(word)));
		if (found.length === 0) {
			const names = modes.map(({name}) => name).join(', ');
			throw new UsageError(`--modes has ${term}; accepted: all, ${names}, or some of their words such as eager-masked`);
		}

		for (const mode of found) chosen.add(mode);
	}

	return modes.filter(mode => chosen.has(mode));
}
