// Trains and saves after every step until it is killed. Prints, before each save, the step and a hash of the weights.
// Arguments: the run folder, which holds a checkpoint.
import {Dataset} from '../../lib/dataset.js';
import {Trainer} from '../../lib/trainer.js';
import {hashWeights} from './crash.js';
import {tinyText, tinyTokenizer} from './tiny.js';

const [runFolder = ''] = process.argv.slice(2);
const dataset = Dataset.fromText(tinyText, tinyTokenizer);
const trainer = await Trainer.resume(runFolder);
for (;;) {
	await trainer.step(dataset);
	console.log(`${trainer.completedSteps} ${await hashWeights(trainer.model)}`);
	await trainer.save(runFolder);
}
