// Lists the files under a folder of the project.
import {existsSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The files under `folder` (relative to the project, as are the results) whose name matches; sorted. Installed packages are left out. */
export function listFiles(folder, pattern = /./) {
	if (!existsSync(path.join(root, folder))) return [];
	return readdirSync(path.join(root, folder), {recursive: true, withFileTypes: true})
		.filter(entry => entry.isFile() && pattern.test(entry.name))
		.map(entry => path.relative(root, path.join(entry.parentPath, entry.name)))
		.filter(file => !file.split(path.sep).includes('node_modules'))
		.sort();
}
