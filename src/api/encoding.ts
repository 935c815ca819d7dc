import { type Fractions, fitting, parseJson, parseNoting } from '../util/exact-json.ts';
import { badRequest } from './errors.ts';
import { duplicateFields, exceedsDepth } from './json-scan.ts';

/** A parsed body. */
export interface DecodedText {
  readonly value: unknown;
  /** `duplicate field "spec.replicas"`; of YAML: `line 3: key "replicas" already set in map`. */
  readonly duplicates: readonly string[];
  readonly isYaml?: boolean;
  /** The JSON text where it has duplicates. */
  readonly text?: string | undefined;
  /** Whole numbers that are not written as such. */
  readonly fractions?: Fractions | undefined;
}

/** Deeper bodies are refused: no kind needs them, and recursion over them would not end well. */
const MAX_DEPTH = 1000;
/** How often one document may expand its aliases (YAML's "billion laughs"). */
const MAX_ALIASES = 100;

/**
 * Parses a JSON body. Malformed, too deep or not UTF-8 text is a BadRequest. Looking for duplicate keys costs a second
 * pass over the text: leave it out when nobody wants to know.
 */
export function decodeJson(text: string, findDuplicates = true): DecodedText {
  refuseDeep(text);
  try {
    const parsed = parseNoting(text);
    const duplicates = findDuplicates ? duplicateFields(text) : [];
    return { ...parsed, duplicates, ...(duplicates.length > 0 && { text }) };
  } catch (err) {
    throw badRequest(`couldn't get version/kind; json parse error: ${parseMessage(err, text)}`);
  }
}

/**
 * Parses a YAML body of one document, with the scalars of YAML 1.1 that upstream knows (`yes`, `0644`). Clients send JSON as
 * such, which is YAML too and much cheaper to read.
 */
export async function decodeYaml(text: string): Promise<DecodedText> {
  refuseDeep(text);
  const value = asPlainJson(text);
  if (value !== undefined) return { value, duplicates: [], isYaml: true };
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, {
    version: '1.1',
    schema: 'yaml-1.1',
    uniqueKeys: true,
    intAsBigInt: true,
    merge: true,
    // Dates stay text and binary stays base64: JSON has neither.
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !FOREIGN.has(tag.tag)),
  });
  const duplicates: string[] = [];
  for (const error of document.errors) {
    if (error.code !== 'DUPLICATE_KEY') {
      throw badRequest(`error converting YAML to JSON: yaml: ${error.message.split('\n')[0]}`);
    }
    const key = /^"[^"\n]*"|^'[^'\n]*'|^[^:\n]*/.exec(text.slice(error.pos[0]))?.[0].trim() ?? '';
    const name = JSON.stringify(key.replace(/^(["'])(.*)\1$/, '$2'));
    duplicates.push(`line ${error.linePos?.[0].line ?? 0}: key ${name} already set in map`);
  }
  try {
    const value = document.toJS({ maxAliasCount: MAX_ALIASES, reviver: asInJson });
    return { value, duplicates, isYaml: true };
  } catch (err) {
    const message = err instanceof Error ? err.message : String(err);
    throw badRequest(`error converting YAML to JSON: yaml: ${message}`);
  }
}

/** Undefined: it is something else, or something has to be said of it. */
function asPlainJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value = parseJson(text);
    return duplicateFields(text).length === 0 ? value : undefined;
  } catch {
    // YAML's flow style looks alike.
    return undefined;
  }
}

/** The duplicates of YAML text as one error. */
export function yamlError(duplicates: readonly string[]): string {
  return ['yaml: unmarshal errors:', ...duplicates].join('\n  ');
}

/** YAML's whole numbers, read as bigints, as JSON's are held. */
function asInJson(_key: unknown, value: unknown): unknown {
  return typeof value === 'bigint' ? (fitting(value) ?? Number(value)) : value;
}

const FOREIGN = new Set([
  'tag:yaml.org,2002:timestamp',
  'tag:yaml.org,2002:binary',
  'tag:yaml.org,2002:omap',
  'tag:yaml.org,2002:pairs',
  'tag:yaml.org,2002:set',
]);

/** YAML as `kubectl get -o yaml` writes it. */
export async function encodeYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(value, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 });
}

function refuseDeep(text: string): void {
  if (exceedsDepth(text, MAX_DEPTH)) {
    throw badRequest("couldn't get version/kind; json parse error: exceeded max depth");
  }
}

/** V8's parse errors in the words of Go's. */
function parseMessage(err: unknown, text: string): string {
  const message = err instanceof Error ? err.message : String(err);
  if (/^(Unexpected end|Unterminated)/.test(message)) return 'unexpected end of JSON input';
  const position = Number(/position (\d+)/.exec(message)?.[1] ?? Number.NaN);
  if (position >= text.length) return 'unexpected end of JSON input';
  const token = /^Unexpected token '(.)'/su.exec(message)?.[1] ?? text[position];
  if (token === undefined) return message;
  return `invalid character '${token}' looking for beginning of value`;
}
