// Folders that tests use: the fixtures of the repository, and temporary ones.
import {mkdtemp, rm} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';

// This file runs as dist/test/support/folders.js.
const fixtures = fileURLToPath(new URL('../../../test/fixtures/', import.meta.url));

export function fixture(...names: readonly string[]): string {
	return path.join(fixtures, ...names);
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
	const folder = await mkdtemp(path.join(os.tmpdir(), 'dllm-'));
	t.teardown(() => rm(folder, {recursive: true, force: true}));
	return folder;
}
