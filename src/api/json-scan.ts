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
  const frames: Frame[] = [];
  for (let i = 0; i < text.length && out.length < MAX_MESSAGES; i++) {
    const c = text.charCodeAt(i);
    if (c !== QUOTE) {
      track(frames, c);
      continue;
    }
    const end = endOfString(text, i);
    if (frames.at(-1)?.keys && isKey(text, end)) {
      noteKey(frames, JSON.parse(text.slice(i, end + 1)), out);
    }
    i = end;
  }
  return out;
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

function noteKey(frames: readonly Frame[], key: string, out: string[]): void {
  const frame = frames.at(-1);
  if (!frame?.keys) return;
  frame.at = key;
  if (frame.keys.has(key)) {
    const path = frames.map((f) => (f.keys ? `.${f.at}` : f.at)).join('');
    out.push(`duplicate field "${path.replace(/^\./, '')}"`);
  }
  frame.keys.add(key);
}
