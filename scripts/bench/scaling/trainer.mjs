// Our training as a process of its own, so that it has its own number of threads: node trainer.mjs WORK
//
// WORK is JSON, as `describeWork` gives it. The first line of output says that it is ready; each line of input,
// {steps, least, seconds}, is answered by {losses, milliseconds}.
import {createInterface} from 'node:readline';
import {createOurs} from '../against/ours.mjs';

const answer = value => process.stdout.write(`${JSON.stringify(value)}\n`);

const ours = await createOurs(JSON.parse(process.argv[2]));
answer({parameterCount: ours.parameterCount});
for await (const line of createInterface({input: process.stdin})) answer(await ours.train(JSON.parse(line)));
await ours.dispose();
