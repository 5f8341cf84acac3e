// Cuts and checks UTF-8 that arrives in pieces.
import {isUtf8} from 'node:buffer';

/** Length of a piece without the bytes of a character that may go on in the next piece. */
export function wholeCharacters(bytes: Uint8Array): number {
	for (let back = 1; back <= Math.min(3, bytes.length); back++) {
		const byte = bytes[bytes.length - back];
		if (byte < 0x80) break;
		if (byte >= 0xc0) return sequenceLength(byte) > back ? bytes.length - back : bytes.length;
	}

	return bytes.length;
}

/** Offset of the first byte that is not part of well-formed UTF-8; -1 when all are. */
export function findInvalidUtf8(bytes: Uint8Array): number {
	if (isUtf8(bytes)) return -1;
	for (let offset = 0; offset < bytes.length; ) {
		const length = sequenceLength(bytes[offset]);
		if (length === 0 || !isUtf8(bytes.subarray(offset, offset + length))) return offset;
		offset += length;
	}

	return -1;
}

/** Bytes of the character that begins with a byte; 0 when none does. */
function sequenceLength(byte: number): number {
	if (byte < 0x80) return 1;
	if (byte < 0xc2 || byte > 0xf4) return 0;
	return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}
