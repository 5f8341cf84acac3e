// Runs that were stopped, saved and resumed in a new process equal the uninterrupted run, bit for bit.
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import {Model} from '../lib/model.js';
import {Trainer} from '../lib/trainer.js';
import {warningsOf} from './support/processes.js';
import {checkResume} from './support/resume.js';

for (const kind of ['masked', 'next_token'] as const) {
	test.serial(`${kind} with accumulation, average and dropout: resumed from 3 steps on 1, 2 and 4 threads`, t =>
		checkResume(t, {kind, threads: [1, 2, 4], count: 3}),
	);
}

/** Adds an entry to the metadata of a .safetensors file. */
async function addMetadata(file: string, key: string, value: string): Promise<void> {
	const content = await readFile(file);
	const end = 8 + Number(content.readBigUInt64LE());
	const header = JSON.parse(content.toString('utf8', 8, end)) as {readonly __metadata__: object};
	const text = JSON.stringify({...header, __metadata__: {...header.__metadata__, [key]: value}});
	const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
	const length = Buffer.alloc(8);
	length.writeBigUInt64LE(BigInt(padded.length));
	await writeFile(file, Buffer.concat([length, padded, content.subarray(end)]));
}

test('a run whose plans are of another device is resumed with a warning', async t => {
	const folder = await mkdtemp(path.join(os.tmpdir(), 'dllm-plans-'));
	t.teardown(() => rm(folder, {recursive: true}));
	using model = await Model.create(
		{layers: 1, heads: 1, width: 8, mlpWidth: 8, contextLength: 8, vocabSize: 5},
		{device: 'cpu'},
	);
	await new Trainer(model, {steps: 1}).save(folder);
	const resume = async () => {
		const {value, warnings} = await warningsOf(() => Trainer.resume(folder, {device: 'cpu'}));
		t.is(value.completedSteps, 0);
		await value[Symbol.asyncDispose]();
		await value.model[Symbol.asyncDispose]();
		return warnings;
	};

	t.deepEqual(await resume(), []);
	const checkpoint = path.join(folder, 'step-0');
	await rm(path.join(checkpoint, 'manifest.json'));
	await addMetadata(path.join(checkpoint, 'trainer', 'optimizer.safetensors'), 'plans', 'device NVIDIA H100\n');
	const [warning, ...more] = await resume();
	t.deepEqual(more, []);
	t.is((warning as NodeJS.ErrnoException).code, 'DLLM_PLANS_UNUSED');
	t.regex(warning!.message, /optimizer\.safetensors.*last bits.*another device than/);
});
