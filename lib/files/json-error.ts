// Finds where a text stops being JSON; the engine's own message names no place for half of the mistakes.

type State = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or }' | ', or ]' | 'the end of the text';

const expectations: Readonly<Record<State, string>> = {
	value: 'a value',
	'value or ]': 'a value or "]"',
	key: 'a key in double quotes',
	'key or }': 'a key in double quotes or "}"',
	':': '":"',
	', or }': '"," or "}"',
	', or ]': '"," or "]"',
	'the end of the text': 'the end of the text',
};

const space = /[ \t\n\r]*/y;
const simpleToken = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const escapeSequence = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Offset and expectation of the first token that no JSON text could have there; undefined when the text is JSON. */
export function findJsonError(text: string): {readonly offset: number; readonly expected: string} | undefined {
	const closers: ('}' | ']')[] = [];
	let state: State = 'value';
	let offset = 0;

	function afterValue(): State {
		const closer = closers.at(-1);
		if (closer === undefined) return 'the end of the text';
		return closer === '}' ? ', or }' : ', or ]';
	}

	function next(found: string): State | undefined {
		if (state.startsWith('value')) {
			if (found === '{' || found === '[') {
				closers.push(found === '{' ? '}' : ']');
				return found === '{' ? 'key or }' : 'value or ]';
			}

			if (/^["\-\dtfn]/.test(found)) return afterValue();
		}

		if (state.startsWith('key') && found.startsWith('"')) return ':';
		if (state === ':' && found === ':') return 'value';
		if (state.startsWith(',') && found === ',') return closers.at(-1) === '}' ? 'key' : 'value';
		if (state.includes('or ') && found !== '' && found === closers.at(-1)) {
			closers.pop();
			return afterValue();
		}

		return undefined;
	}

	for (;;) {
		offset += match(space, text, offset).length;
		if (offset === text.length && state === 'the end of the text') return undefined;
		const found = text[offset] === '"' ? matchString(text, offset) : match(simpleToken, text, offset);
		const following = next(found);
		if (following === undefined) return {offset, expected: expectations[state]};
		state = following;
		offset += found.length;
	}
}

/** Line, column, what was found and what could stand there; undefined when the text is JSON. */
export function describeJsonError(text: string): string | undefined {
	const problem = findJsonError(text);
	if (!problem) return undefined;
	const before = text.slice(0, problem.offset).split('\n');
	const rest = text.slice(problem.offset);
	const excerpt = /^(?:[\w.+-]+|"[^"\n]*"?|[^\n])/.exec(rest)?.[0].slice(0, 24);
	const found = rest === '' ? 'the end of the text' : JSON.stringify(excerpt ?? '\n');
	const column = (before.at(-1)?.length ?? 0) + 1;
	return `line ${before.length}, column ${column}: expected ${problem.expected}, found ${found}`;
}

function match(pattern: RegExp, text: string, offset: number): string {
	pattern.lastIndex = offset;
	return pattern.exec(text)?.[0] ?? '';
}

/** The string literal at an offset, '' when it is not valid. A loop: a long string exhausts a regular expression. */
function matchString(text: string, offset: number): string {
	for (let end = offset + 1; end < text.length; ) {
		const character = text[end];
		if (character === '"') return text.slice(offset, end + 1);
		if (character < ' ') return '';
		const length = character === '\\' ? match(escapeSequence, text, end).length : 1;
		if (length === 0) return '';
		end += length;
	}

	return '';
}
