// Writes a file of token ids, as nanoGPT's .bin files: little endian, no header.
import {type FileHandle, open} from 'node:fs/promises';
import {endianness} from 'node:os';

/** How token ids are stored. */
export type TokenDtype = 'uint16' | 'uint32';

/** Bytes per token. */
export const tokenBytes = {uint16: 2, uint32: 4} as const satisfies Record<TokenDtype, number>;

/** The smallest type that holds all ids of a vocabulary. */
export function tokenDtype(vocabSize: number): TokenDtype {
	return vocabSize <= 65_536 ? 'uint16' : 'uint32';
}

/** A new file to which tokens are appended. */
export class TokenFile {
	readonly #handle: FileHandle;
	readonly #dtype: TokenDtype;
	#count = 0;

	private constructor(handle: FileHandle, dtype: TokenDtype) {
		this.#handle = handle;
		this.#dtype = dtype;
	}

	/**
	 * Creates a file, has it filled, and flushes it to the disk.
	 *
	 * @returns The number of tokens written.
	 */
	static async write(file: string, dtype: TokenDtype, fill: (file: TokenFile) => Promise<void>): Promise<number> {
		const handle = await open(file, 'wx');
		try {
			const tokens = new TokenFile(handle, dtype);
			await fill(tokens);
			await handle.sync();
			return tokens.#count;
		} finally {
			await handle.close();
		}
	}

	async append(tokens: ArrayLike<number>): Promise<void> {
		const values = this.#dtype === 'uint16' ? new Uint16Array(tokens) : new Uint32Array(tokens);
		const bytes = Buffer.from(values.buffer);
		if (endianness() === 'BE') this.#dtype === 'uint16' ? bytes.swap16() : bytes.swap32();
		for (let offset = 0; offset < bytes.length; ) {
			offset += (await this.#handle.write(bytes, offset)).bytesWritten;
		}

		this.#count += tokens.length;
	}
}
