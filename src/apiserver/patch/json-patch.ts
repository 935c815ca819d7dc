import { ApiError, badRequest } from '../../api/errors.ts';
import { cloneJson, isObject, type JsonObject, jsonEqual, own, put } from '../../util/json.ts';

/** Upstream's limit (apiserver handlers/patch.go). */
const MAX_OPERATIONS = 10_000;
/** What all `copy` operations of one patch may add in all: small patches must not grow large objects. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

type Operation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; path: string; from: string };

/** What a failed operation throws inside this file; callers see an `ApiError`. */
class PatchFailure extends Error {
  override readonly name = 'PatchFailure';
}

/**
 * Applies a JSON patch (RFC 6902) and answers the new document; `document` is left as it was.
 * A malformed patch is a BadRequest, an operation that does not apply (a failed `test` too) is Invalid
 * and none of the patch has effect. As upstream, `test` for null succeeds on a missing member.
 */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  const operations = decodeOperations(patch);
  let copiedBytes = 0;
  let root = cloneJson(document);
  try {
    for (const operation of operations) {
      if (operation.op === 'copy') {
        copiedBytes += JSON.stringify([valueAt(root, operation.from, 'copy')]).length - 2;
        if (copiedBytes > MAX_COPIED_BYTES) {
          throw new PatchFailure(
            `Unable to complete the copy, the accumulated size increase of copy is ${copiedBytes}, exceeding the limit ${MAX_COPIED_BYTES}`,
          );
        }
      }
      root = applyOperation(root, operation);
    }
  } catch (err) {
    if (!(err instanceof PatchFailure)) throw err;
    throw new ApiError(
      'Invalid',
      `the server rejected our request due to an error in our request: ${err.message}`,
      { cause: err },
    );
  }
  return root;
}

function decodeOperations(patch: unknown): Operation[] {
  if (!Array.isArray(patch)) {
    throw badRequest('error decoding patch: a JSON patch must be an array of operations');
  }
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  return patch.map(decodeOperation);
}

function decodeOperation(value: unknown, index: number): Operation {
  const refuse = (why: string) => badRequest(`error decoding patch: operation ${index}: ${why}`);
  if (!isObject(value)) throw refuse('must be an object');
  const op = own(value, 'op');
  const path = pointerField(value, 'path', refuse);
  switch (op) {
    case 'add':
    case 'replace':
    case 'test':
      if (!Object.hasOwn(value, 'value') && op !== 'test') throw refuse(`${op} needs a value`);
      return { op, path, value: own(value, 'value') ?? null };
    case 'remove':
      return { op, path };
    case 'move':
    case 'copy':
      return { op, path, from: pointerField(value, 'from', refuse) };
    default:
      throw refuse(`Unexpected kind: ${JSON.stringify(op)}`);
  }
}

function pointerField(
  value: JsonObject,
  field: 'path' | 'from',
  refuse: (why: string) => ApiError,
): string {
  const pointer = own(value, field);
  if (typeof pointer !== 'string') throw refuse(`needs a ${field}`);
  if (pointer !== '' && !pointer.startsWith('/')) {
    throw refuse(
      `${field} ${JSON.stringify(pointer)} is not a JSON pointer: it must start with "/"`,
    );
  }
  return pointer;
}

function applyOperation(root: unknown, operation: Operation): unknown {
  const { op, path } = operation;
  switch (op) {
    case 'add':
      return add(root, path, cloneJson(operation.value), op);
    case 'replace':
      return replace(root, path, cloneJson(operation.value));
    case 'remove':
      return remove(root, path, op);
    case 'copy':
      return add(root, path, cloneJson(valueAt(root, operation.from, op)), op);
    case 'move':
      return move(root, operation.from, path);
    case 'test':
      test(root, path, operation.value);
      return root;
  }
}

function move(root: unknown, from: string, path: string): unknown {
  if (path.startsWith(`${from}/`)) {
    throw new PatchFailure(`move operation does not apply: ${from} cannot move into itself`);
  }
  const value = valueAt(root, from, 'move');
  if (from === path) return root;
  return add(remove(root, from, 'move'), path, value, 'move');
}

function add(root: unknown, path: string, value: unknown, op: string): unknown {
  if (path === '') return value;
  const { parent, key } = parentOf(root, path, op);
  if (Array.isArray(parent)) {
    parent.splice(key === '-' ? parent.length : index(key, parent.length, op), 0, value);
  } else {
    put(parent, key, value);
  }
  return root;
}

function replace(root: unknown, path: string, value: unknown): unknown {
  if (path === '') return value;
  const { parent, key } = parentOf(root, path, 'replace');
  if (Array.isArray(parent)) {
    parent[index(key, parent.length - 1, 'replace')] = value;
  } else {
    if (!Object.hasOwn(parent, key)) {
      throw new PatchFailure(`replace operation does not apply: doc is missing key: ${path}`);
    }
    put(parent, key, value);
  }
  return root;
}

function remove(root: unknown, path: string, op: string): unknown {
  if (path === '') throw new PatchFailure(`${op} operation does not apply: cannot remove the root`);
  const { parent, key } = parentOf(root, path, op);
  if (Array.isArray(parent)) {
    parent.splice(index(key, parent.length - 1, op), 1);
  } else {
    if (!Object.hasOwn(parent, key)) {
      throw new PatchFailure(
        `${op} operation does not apply: Unable to remove nonexistent key: ${key}`,
      );
    }
    delete parent[key];
  }
  return root;
}

function test(root: unknown, path: string, wanted: unknown): void {
  let actual: unknown = root;
  if (path !== '') {
    const { parent, key } = parentOf(root, path, 'test');
    actual = Array.isArray(parent)
      ? parent[index(key, parent.length - 1, 'test')]
      : (own(parent, key) ?? null);
  }
  if (!jsonEqual(actual, wanted)) throw new PatchFailure(`testing value ${path} failed`);
}

function valueAt(root: unknown, path: string, op: string): unknown {
  if (path === '') return root;
  const { parent, key } = parentOf(root, path, op);
  return child(parent, key, path, op);
}

function parentOf(
  root: unknown,
  path: string,
  op: string,
): { parent: JsonObject | unknown[]; key: string } {
  const keys = path.slice(1).split('/').map(unescapePointer);
  const last = keys.pop() ?? '';
  let node = root;
  for (const key of keys) node = child(node, key, path, op);
  if (!Array.isArray(node) && !isObject(node)) throw missing(path, op);
  return { parent: node, key: last };
}

function child(node: unknown, key: string, path: string, op: string): unknown {
  if (Array.isArray(node)) return node[index(key, node.length - 1, op)];
  if (!isObject(node) || !Object.hasOwn(node, key)) throw missing(path, op);
  return node[key];
}

function missing(path: string, op: string): PatchFailure {
  return new PatchFailure(`${op} operation does not apply: doc is missing path: "${path}"`);
}

function index(key: string, max: number, op: string): number {
  const value = /^(0|[1-9][0-9]*)$/.test(key) ? Number(key) : Number.POSITIVE_INFINITY;
  if (value > max) {
    throw new PatchFailure(
      `${op} operation does not apply: Unable to access invalid index: ${key}`,
    );
  }
  return value;
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
