import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `file:///…/lib/kubelet.js:12:34` or the same as a path. */
const FRAME = /((?:file:\/\/)?\/[^\s():]+\.js):(\d+):(\d+)/g;
const MAX_KNOWN = 1000;
// An error that repeats itself must not read the map each time, and the map must not stay in memory for it.
const known = new Map<string, string>();

/**
 * A stack trace with the places of a bundle told as those of the sources, by the source maps beside it. Only for what is
 * shown: Node's own --enable-source-maps reads the maps at the first stack that anything looks at, which a stream that is
 * cut does too, and keeps them, 10 to 30 MB for a component.
 */
export function sourceStack(stack: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  const mapOf = (file: string): SourceMap | undefined => {
    if (!maps.has(file)) maps.set(file, readMap(`${file}.map`));
    return maps.get(file);
  };
  return stack.replace(FRAME, (frame, file: string, line: string, column: string) => {
    const place =
      known.get(frame) ??
      sourcePlace(pathOf(file), { line: Number(line), column: Number(column) }, mapOf) ??
      frame;
    if (known.size < MAX_KNOWN) known.set(frame, place);
    return place;
  });
}

/** Lines and columns count from 1 in stack traces and from 0 in maps. */
function sourcePlace(
  file: string,
  { line, column }: { line: number; column: number },
  mapOf: (file: string) => SourceMap | undefined,
): string | undefined {
  const entry = mapOf(file)?.findEntry(line - 1, column - 1);
  if (!entry || !('originalSource' in entry)) return undefined;
  const source = resolve(dirname(file), entry.originalSource);
  return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}

function readMap(file: string): SourceMap | undefined {
  try {
    return existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  } catch {
    return undefined; // A damaged map: the places in the bundle are better than nothing.
  }
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}
