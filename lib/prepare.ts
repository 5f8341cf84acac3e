// Preparing datasets: the public names of lib/prepare/.
export {type PrepareConfig, prepareDataset} from './prepare/dataset.js';
export {type DatasetMeta, defaultDataFolder, type PreparedDataset, readMeta} from './prepare/meta.js';
export {prepareShakespeare, type ShakespeareConfig} from './prepare/shakespeare.js';
