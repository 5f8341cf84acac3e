// Files and folders that are written whole or not at all, and JSON: the names of lib/files/ that others use.
export {
	describeCause,
	type ErrorClass,
	exists,
	makeFolder,
	readBounded,
	syncPath,
	writeFileAtomic,
} from './files/file.js';
export {clearRemains, recoverFolder, type WriteFolderOptions, writeFolderAtomic} from './files/folder.js';
export {readJsonFile} from './files/json.js';
export {discard, parseTemporary, temporarySibling} from './files/temporary.js';
