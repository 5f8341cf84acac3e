// One id per byte of UTF-8: every text can be encoded, and no vocabulary has to be stored.
import type {Codec} from './codec.js';

export const byteCodec: Codec = {
	kind: 'byte',
	size: 256,
	encode: text => new Int32Array(Buffer.from(text, 'utf8')),
	decode: tokens => decodeUtf8(new Uint8Array(tokens)),
};

/** Bytes to text, U+FFFD for what is not UTF-8. A decoder of its own per call, so nothing is carried to the next one. */
export function decodeUtf8(bytes: Uint8Array): string {
	return new TextDecoder('utf-8', {ignoreBOM: true}).decode(bytes); // "ignore" means that U+FEFF is kept as text
}
