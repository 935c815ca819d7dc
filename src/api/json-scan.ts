const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** True when brackets outside of strings nest deeper than `limit`. Linear, without recursion. */
export function exceedsDepth(text: string, limit: number): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i);
    else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      depth += 1;
      if (depth > limit) return true;
    } else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) depth -= 1;
  }
  return false;
}

/** The index of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** An odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let i = at - 1;
  while (text.charCodeAt(i) === BACKSLASH) i--;
  return (at - i) % 2 === 0;
}

/** One open object or array. */
interface Frame {
  /** Keys seen; undefined in arrays. */
  keys: Set<string> | undefined;
  /** The key or index that is being read. */
  at: string;
  index: number;
}

const MAX_MESSAGES = 100;

/** `duplicate field "spec.a"` for each key that valid JSON text repeats within one object. */
export function duplicateFields(text: string): string[] {
  const out: string[] = [];
  visitKeys(text, (path, isRepeated) => {
    if (isRepeated) out.push(`duplicate field "${path()}"`);
    return out.length < MAX_MESSAGES;
  });
  return out;
}

/**
 * Messages about unknown fields and those about repeated ones as Go's decoder gives them: in the order of the text, and
 * what it does not know it does not look into.
 */
export function inTextOrder(text: string, unknown: readonly string[]): string[] {
  const out = new Set<string>();
  const paths = unknown.map((message) => message.slice('unknown field "'.length, -1));
  visitKeys(text, (pathOf, isRepeated) => {
    const path = pathOf();
    const known = paths.find(
      (p) => path === p || path.startsWith(`${p}.`) || path.startsWith(`${p}[`),
    );
    if (known !== undefined) out.add(`unknown field "${known}"`);
    else if (isRepeated) out.add(`duplicate field "${path}"`);
    return out.size < MAX_MESSAGES;
  });
  return [...out];
}

/** Shows each key of an object, until that is enough. */
function visitKeys(
  text: string,
  visit: (path: () => string, isRepeated: boolean) => boolean,
): void {
  const frames: Frame[] = [];
  const path = () =>
    frames
      .map((f) => (f.keys ? `.${f.at}` : f.at))
      .join('')
      .replace(/^\./, '');
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== QUOTE) {
      track(frames, c);
      continue;
    }
    const end = endOfString(text, i);
    const frame = frames.at(-1);
    if (frame?.keys && isKey(text, end)) {
      const key: string = JSON.parse(text.slice(i, end + 1));
      frame.at = key;
      const isRepeated = frame.keys.has(key);
      frame.keys.add(key);
      if (!visit(path, isRepeated)) return;
    }
    i = end;
  }
}

/** Follows brackets and commas, so that the frames always tell where the text stands. */
function track(frames: Frame[], c: number): void {
  if (c === OPEN_OBJECT) frames.push({ keys: new Set(), at: '', index: 0 });
  else if (c === OPEN_ARRAY) frames.push({ keys: undefined, at: '[0]', index: 0 });
  else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) frames.pop();
  else if (c === COMMA) {
    const frame = frames.at(-1);
    if (!frame || frame.keys) return;
    frame.index += 1;
    frame.at = `[${frame.index}]`;
  }
}

/** A string is a key when a colon follows it. */
function isKey(text: string, end: number): boolean {
  let i = end + 1;
  while (i < text.length && text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}
