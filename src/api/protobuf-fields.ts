import { readFileSync } from 'node:fs';

/** What a number of a message stands for. */
export interface NumberedField {
  /** The JSON name; for an inlined message, the short name of its type. */
  readonly name: string;
  /** The message's fields are the parent's own in JSON. */
  readonly inlined: boolean;
  /** A zero or empty value was set on purpose and is kept. */
  readonly pointer: boolean;
}

export type NumberedFields = ReadonlyMap<number, NumberedField>;

const PACKAGES = [
  ['meta.', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['apiextensions.', 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.'],
  ['apiregistration.', 'io.k8s.kube-aggregator.pkg.apis.apiregistration.'],
] as const;
const BUILTIN = 'io.k8s.api.';

// From the sources and from the bundle (dist/lib/) alike.
const FILE = new URL('../../src/api/protobuf-fields.txt', import.meta.url);

let lines: Map<string, string> | undefined;
const parsed = new Map<string, NumberedFields>();

/** The numbers of a type by its short name (`core.v1.Pod`), read from protobuf-fields.txt when first needed. */
export function numberedFields(shortName: string): NumberedFields | undefined {
  const known = parsed.get(shortName);
  if (known) return known;
  lines ??= readLines();
  const line = lines.get(shortName);
  if (line === undefined) return undefined;
  const fields = parseLine(line);
  parsed.set(shortName, fields);
  return fields;
}

/** `core.v1.Pod` for `io.k8s.api.core.v1.Pod`. */
export function shortName(definition: string): string {
  if (definition.startsWith(BUILTIN)) return definition.slice(BUILTIN.length);
  const found = PACKAGES.find(([, long]) => definition.startsWith(long));
  return found ? found[0] + definition.slice(found[1].length) : definition;
}

/** `io.k8s.api.core.v1.Pod` for `core.v1.Pod`. */
export function definitionName(short: string): string {
  const found = PACKAGES.find(([prefix]) => short.startsWith(prefix));
  return found ? found[1] + short.slice(found[0].length) : BUILTIN + short;
}

function readLines(): Map<string, string> {
  const text = readFileSync(FILE, 'utf8');
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0 && !line.startsWith('#')) {
      found.set(line.slice(0, space), line.slice(space + 1));
    }
  }
  return found;
}

function parseLine(line: string): NumberedFields {
  const fields = new Map<number, NumberedField>();
  let number = 0;
  for (const word of line.split(' ')) {
    const colon = word.indexOf(':');
    number = colon < 0 ? number + 1 : Number(word.slice(0, colon));
    const spec = word.slice(colon + 1);
    const inlined = spec.startsWith('^');
    const pointer = spec.endsWith('*');
    const name = spec.slice(inlined ? 1 : 0, pointer ? -1 : undefined);
    fields.set(number, { name, inlined, pointer });
  }
  return fields;
}
