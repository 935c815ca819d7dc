interface Node {
  op: string;
  args: unknown;
}

/**
 * `has(a["b"].c)` is `has(a.b.c)` for whatever text b is: cel-js knows the macro with fields only. Changes the tree of
 * an expression that has been parsed and not been checked yet.
 */
export function allowIndexInHas(root: unknown): void {
  visit(root, new Set());
}

function visit(value: unknown, seen: Set<unknown>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  for (const member of isNode(value) ? [value.args] : Object.values(value)) {
    visit(member, seen);
  }
  if (!isNode(value) || value.op !== 'call' || !Array.isArray(value.args)) return;
  const [name, given] = value.args;
  if (name === 'has' && Array.isArray(given) && isNode(given[0])) indexesToFields(given[0]);
}

/** The outermost part stays: what is asked for must be a field. */
function indexesToFields({ args }: Node): void {
  const node = Array.isArray(args) ? args[0] : undefined;
  if (!isNode(node) || !Array.isArray(node.args)) return;
  const [object, key] = node.args;
  if (node.op === '[]' && isNode(key) && key.op === 'value' && typeof key.args === 'string') {
    node.op = '.';
    node.args = [object, key.args];
  }
  if (node.op === '.' || node.op === '.?') indexesToFields(node);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
