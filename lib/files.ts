// Files and folders that are written whole or not at all, and JSON: the names of lib/files/ that others use.
export {
	describeCause,
	type ErrorClass,
	exists,
	makeFolder,
	syncPath,
	temporarySibling,
	writeFileAtomic,
} from './files/file.js';
export {recoverFolder, type WriteFolderOptions, writeFolderAtomic} from './files/folder.js';
export {readJsonFile} from './files/json.js';
