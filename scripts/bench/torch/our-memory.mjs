// Resident memory of a training step of ours, as a process of its own:
//
//   node --expose-gc our-memory.mjs SETTINGS
//
// SETTINGS is JSON: {folder, device, dtype, model, recipe, batch, steps}; the folder holds batches.safetensors. Prints {baseline, peak} in bytes.
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {readBatches} from '../against/batch-file.mjs';
import {trainConfig} from '../against/ours.mjs';

const {folder, device, dtype, model: config, recipe, batch, steps} = JSON.parse(process.argv[2]);
const {Model, Trainer, listDevices} = await import('../../../dist/lib/index.js');
await listDevices(); // loads the addon
const batches = readBatches(path.join(folder, 'batches.safetensors'));

function readStatus(key) {
	const [, kilobytes] = readFileSync('/proc/self/status', 'ascii').match(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm'));
	return 1024 * Number(kilobytes);
}

globalThis.gc();
writeFileSync('/proc/self/clear_refs', '5'); // the peak so far is forgotten
const baseline = readStatus('VmRSS');
const model = await Model.create(config, {device, dtype});
const trainer = new Trainer(model, trainConfig(recipe, batch));
for (let step = 0; step < steps; step++) await trainer.step(batches[step % batches.length]);
console.log(JSON.stringify({baseline, peak: readStatus('VmHWM')}));
