import { parseJson } from '../util/exact-json.ts';

/**
 * One YAML document as plain data. JSON is YAML too and much cheaper to read, so it is tried first:
 * a process that only ever sees JSON never loads the YAML library.
 */
export async function parseYaml(text: string): Promise<unknown> {
  if (/^\s*[{[]/.test(text)) {
    try {
      return parseJson(text);
    } catch {
      // YAML's flow style looks alike; the YAML parser decides.
    }
  }
  const { parse } = await import('yaml');
  return parse(text);
}

/** Plain data as one YAML document. */
export async function stringifyYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(value);
}

/** The documents of a YAML stream as plain data, empty ones left out. */
export async function parseYamlDocuments(text: string): Promise<unknown[]> {
  const { parseAllDocuments } = await import('yaml');
  const documents = parseAllDocuments(text);
  return Array.from(documents, (document) => {
    const [problem] = document.errors;
    if (problem) throw problem;
    return document.toJS() as unknown;
  }).filter((value) => value !== null);
}
