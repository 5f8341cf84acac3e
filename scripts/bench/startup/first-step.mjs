// A process that trains one step and prints, as JSON, the milliseconds from its start until each phase was over:
//
//   node first-step.mjs SETTINGS
//
// SETTINGS is JSON: {device, dtype, model: a ModelConfig, batch}.
const {device, dtype, model: config, batch} = JSON.parse(process.argv[2]);
const {Dataset, Model, Trainer} = await import('../../../dist/lib/index.js');
const phases = {};
const end = phase => {
	phases[phase] = performance.now(); // counts from the start of the process
};

end('imported');
const model = await Model.create(config, {device, dtype, seed: 1});
end('model');
const tokens = Int32Array.from(
	{length: 4 * config.contextLength},
	(_, index) => (index * index) % model.config.maskTokenId,
);
const dataset = Dataset.fromTokens(tokens);
const trainer = new Trainer(model, {batchSize: batch, steps: 10});
for (const phase of ['firstStep', 'secondStep', 'thirdStep']) {
	const {loss} = await trainer.step(dataset);
	if (!Number.isFinite(loss)) throw new Error(`the loss of ${phase} is ${loss}`);
	end(phase);
}

console.log(JSON.stringify(phases));
