import { isObject, own } from '../../util/json.ts';

/** One step of a path: a member, an index, all items, or the items that a filter lets through. */
type Step =
  | { readonly type: 'member'; readonly key: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'all' }
  | { readonly type: 'filter'; readonly path: readonly Step[]; readonly wanted: unknown };

export type JsonPath = readonly Step[];

const STEP =
  /\.((?:\\.|[^.[\\])+)|\[(-?\d+)\]|\[\*\]|\[(['"])((?:\\.|(?!\3).)*)\3\]|\[\?\(\s*@([^=]*?)\s*==\s*([^)]*?)\s*\)\]/y;

/**
 * Parses the part of kubectl's JSONPath that printer columns and selectable fields use: members, indexes, `[*]` and
 * filters of the form `[?(@.type=="Ready")]`. Answers undefined for anything else.
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps: Step[] = [];
  const path = text.startsWith('.') || text.startsWith('[') ? text : `.${text}`;
  if (path === '.') return [];
  let at = 0;
  while (at < path.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(path);
    if (!match) return undefined;
    const step = stepOf(match);
    if (step === undefined) return undefined;
    steps.push(step);
    at = STEP.lastIndex;
  }
  return steps;
}

function stepOf([text, name, index, , quoted, filter, wanted]: RegExpExecArray): Step | undefined {
  if (name === '*' || text === '[*]') return { type: 'all' };
  if (name !== undefined) return { type: 'member', key: name.replace(/\\(.)/g, '$1') };
  if (index !== undefined) return { type: 'index', index: Number(index) };
  if (quoted !== undefined) return { type: 'member', key: quoted.replace(/\\(.)/g, '$1') };
  if (filter === undefined || wanted === undefined) return undefined;
  const path = parseJsonPath(filter);
  return path && { type: 'filter', path, wanted: literal(wanted) };
}

function literal(text: string): unknown {
  if (/^'.*'$/.test(text)) return text.slice(1, -1);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** All values that the path finds. */
export function findJsonPath(path: JsonPath, value: unknown): unknown[] {
  let found: unknown[] = [value];
  for (const step of path) found = found.flatMap((node) => takeStep(step, node));
  return found;
}

function takeStep(step: Step, node: unknown): unknown[] {
  switch (step.type) {
    case 'member': {
      const member = isObject(node) ? own(node, step.key) : undefined;
      return member === undefined ? [] : [member];
    }
    case 'index': {
      const item = Array.isArray(node) ? node.at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case 'all':
      if (Array.isArray(node)) return node;
      return isObject(node) ? Object.values(node) : [];
    case 'filter':
      if (!Array.isArray(node)) return [];
      return node.filter((item) => findJsonPath(step.path, item).includes(step.wanted));
  }
}
