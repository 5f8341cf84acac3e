// Runs under faults.cpp: saves a run again and again, each time with another call to the system failing, and prints what
// went wrong where. Arguments: a folder to work in, 'next' (saves step 2 after step 1) or 'again' (saves step 2 twice),
// and perhaps which part of the calls to go through: 0/4 is the first of four.

import {cp, readdir, readFile, rm} from 'node:fs/promises';
import {constants} from 'node:os';
import path from 'node:path';
import {Dataset} from '../../lib/dataset.js';
import {CheckpointError} from '../../lib/errors.js';
import {parseTemporary} from '../../lib/files.js';
import {Model} from '../../lib/model.js';
import {resolveCheckpoint} from '../../lib/run-folder.js';
import {Trainer} from '../../lib/trainer.js';
import {type Call, order, watch} from './faults.js';
import {tinyModel, tinyText, tinyTokenizer, tinyTraining} from './tiny.js';

/** What the process prints, as JSON. */
export type FaultReport = {
	/** The calls of a save in which nothing fails. */
	readonly trace: readonly Call[];
	readonly cases: number;
	readonly failures: readonly string[];
};

const [folder = '', scenario = '', part = '0/1'] = process.argv.slice(2);
const pristine = path.join(folder, 'pristine');
const work = path.join(folder, 'work');
const clean = path.join(folder, 'clean');

const {errno} = constants;
const failures: string[] = [];
let current = '';
let warnings: string[] = [];
process.on('warning', ({message}) => warnings.push(message));

function check(isRight: boolean, message: string): void {
	if (!isRight) failures.push(`${current}: ${message}`);
}

async function readFiles(checkpoint: string): Promise<string> {
	const names = (await readdir(checkpoint, {recursive: true})).sort();
	const files = names.filter(name => name !== 'trainer').map(name => readFile(path.join(checkpoint, name), 'hex'));
	return [...names, ...(await Promise.all(files))].join('\n');
}

async function temporaries(): Promise<string[]> {
	return (await readdir(work, {recursive: true})).filter(name => parseTemporary(path.basename(name)));
}

const model = await Model.create({...tinyModel, layers: 1, width: 8}, {tokenizer: tinyTokenizer});
const trainer = new Trainer(model, {...tinyTraining, saveKeep: 1});
const dataset = Dataset.fromText(tinyText, tinyTokenizer);
await trainer.step(dataset);
await trainer.evaluate(dataset);
if (scenario === 'next') await trainer.save(pristine);
const earlier = scenario === 'next' ? await readFiles(path.join(pristine, 'step-1')) : '';
await trainer.step(dataset);
await trainer.evaluate(dataset);
if (scenario === 'again') await trainer.save(pristine);

watch(work);
await cp(pristine, work, {recursive: true});
order('none');
await trainer.save(work);
const trace = order('none');
const later = await readFiles(path.join(work, 'step-2'));
await cp(work, clean, {recursive: true});
const cleanNames = (await readdir(clean, {recursive: true})).sort().join();
const latestAt = trace.findIndex(({kind, paths}) => kind === 'rename' && paths[1] === path.join(work, 'latest'));

/** Saves while something fails; the error must be ours, and what the run folder then names must be whole. */
async function save(index: number, mustFail: boolean): Promise<void> {
	let failure: unknown;
	try {
		await trainer.save(work);
	} catch (error) {
		failure = error;
	}

	order('none');
	check(failure === undefined || failure instanceof CheckpointError, `not our error: ${failure}`);
	check(!mustFail || failure !== undefined, 'the failure was not reported');
	check((await temporaries()).length === 0, `left behind: ${await temporaries()}`);
	const name = path.basename(await resolveCheckpoint(work));
	const isLater = scenario === 'again' || failure === undefined || index > latestAt;
	check(name === (isLater ? 'step-2' : 'step-1'), `the latest is ${name}`);
	check((await readFiles(path.join(work, name))) === (isLater ? later : earlier), `${name} has changed`);
	if (index % 8 === 0) {
		await using resumed = await Trainer.resume(work); // what is the same, byte by byte, loads in the same way
		check(resumed.completedSteps === (isLater ? 2 : 1), `resumed at ${resumed.completedSteps}`);
		resumed.model.dispose();
	}

	await trainer.save(work);
	check((await readFiles(path.join(work, 'step-2'))) === later, 'the next save wrote something else');
	await checkCleared();
	check(warnings.length === 0, `warnings: ${warnings}`);
}

async function checkCleared(): Promise<void> {
	const names = (await readdir(work, {recursive: true})).sort().join();
	check(names === cleanNames, `after the next save: ${names}`);
}

/** Saves where nothing can be removed: that is said and no failure, and the next save makes good for it. */
async function saveAndKeep(): Promise<void> {
	await startAgain('keep');
	await trainer.save(work);
	order('none');
	const left = await temporaries();
	check(left.length > 0 && (await readFiles(path.join(work, 'step-2'))) === later, `left behind: ${left}`);
	check(warnings.length === 1 && /^cannot remove .*EROFS/.test(warnings[0]!), `warnings: ${warnings}`);
	warnings = [];
	await trainer.save(work);
	await checkCleared();
}

async function startAgain(text: string): Promise<void> {
	current = text;
	warnings = [];
	await rm(work, {recursive: true});
	await cp(pristine, work, {recursive: true});
	order(text);
}

const [turn = 0, turns = 1] = part.split('/').map(Number);
let cases = 0;
for (const [index, call] of trace.entries()) {
	if (index % turns !== turn) continue;
	const orders = [`fail/${index}/${errno.ENOSPC}`, `fail/${index}/${errno.EIO}`];
	if (call.kind === 'write') orders.push(`short/${index}`);
	if (['write', 'create', 'mkdir'].includes(call.kind)) orders.push(`full/${index}`);
	for (const text of orders) {
		await startAgain(text);
		current += ` (${call.kind} ${call.paths})`;
		await save(index, !text.startsWith('short')).catch((error: unknown) => {
			order('none');
			failures.push(`${current}: ${error}`);
		});
		cases++;
	}
}

await saveAndKeep();
console.log(JSON.stringify({trace, cases, failures} satisfies FaultReport));
process.exit(0);
