// Downloads a file whose size and SHA-256 are known, and accepts nothing else.
import {createHash} from 'node:crypto';
import {DataError} from '../errors.js';

/** What makes a file the one that is meant. */
export type Fingerprint = {
	readonly bytes: number;
	readonly sha256: string;
};

export type DownloadOptions = {
	/** @default the `fetch` of Node */
	readonly fetch?: typeof globalThis.fetch;
	/** Time for the whole download. @default 60 */
	readonly timeoutSeconds?: number;
};

/**
 * Fetches a file into memory.
 *
 * @throws {DataError} naming the address and what went wrong: no connection, no answer in time, an HTTP error, or a
 * content of another size or SHA-256.
 */
export async function download(url: string, expected: Fingerprint, options: DownloadOptions = {}): Promise<Buffer> {
	const {fetch = globalThis.fetch, timeoutSeconds = 60} = options;
	let content: Buffer;
	try {
		const response = await fetch(url, {signal: AbortSignal.timeout(timeoutSeconds * 1000)});
		if (!response.ok) {
			await response.body?.cancel();
			throw new DataError(`HTTP status ${response.status}`);
		}

		content = await readBody(response, expected.bytes);
	} catch (cause) {
		throw new DataError(`cannot download ${url}: ${describeFailure(cause, timeoutSeconds)}`, {cause});
	}

	checkFingerprint(content, expected, `what ${url} sent`);
	return content;
}

/** @throws {DataError} when a content has another size or SHA-256 than expected; `what` names it. */
export function checkFingerprint(content: Uint8Array, expected: Fingerprint, what: string): void {
	if (content.length !== expected.bytes) {
		throw new DataError(`${what} has ${content.length} bytes, expected ${expected.bytes}`);
	}

	const sha256 = createHash('sha256').update(content).digest('hex');
	if (sha256 !== expected.sha256) throw new DataError(`${what} has SHA-256 ${sha256}, expected ${expected.sha256}`);
}

async function readBody(response: Response, maxBytes: number): Promise<Buffer> {
	const chunks: Uint8Array[] = [];
	let received = 0;
	for await (const chunk of response.body ?? []) {
		received += chunk.length;
		if (received > maxBytes) throw new DataError(`it is larger than the expected ${maxBytes} bytes`);
		chunks.push(chunk);
	}

	return Buffer.concat(chunks);
}

/** fetch() hides the reason in the cause of "fetch failed". */
function describeFailure(failure: unknown, timeoutSeconds: number): string {
	if (!(failure instanceof Error)) return String(failure);
	if (failure.name === 'TimeoutError') return `not done within ${timeoutSeconds} s`;
	const {cause} = failure;
	if (!(cause instanceof Error)) return failure.message;
	return cause.message || String((cause as NodeJS.ErrnoException).code ?? failure.message);
}
