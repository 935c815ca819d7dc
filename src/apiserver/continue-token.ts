import { badRequest } from '../api/errors.ts';

/** Where a paged list goes on: upstream's token, base64url of JSON. */
export interface ContinueToken {
  /** The revision that all pages are read at; -1: whatever is newest (after history was lost). */
  readonly revision: number;
  /** The key of the last object sent, below the kind's prefix and namespace. */
  readonly after: string;
}

const VERSION = 'meta.k8s.io/v1';

export function encodeContinue({ revision, after }: ContinueToken): string {
  const text = JSON.stringify({ v: VERSION, rv: revision, start: `${after}\0` });
  return Buffer.from(text).toString('base64url');
}

export function decodeContinue(text: string): ContinueToken {
  let token: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    throw badRequest('continue key is not valid: illegal base64 data');
  }
  const { v, rv, start } = token ?? {};
  if (v !== VERSION)
    throw badRequest('continue key is not valid: server does not recognize this encoded version');
  if (typeof start !== 'string' || start === '') {
    throw badRequest('continue key is not valid: encoded start key empty');
  }
  if (typeof rv !== 'number' || rv === 0) {
    throw badRequest(
      'continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)',
    );
  }
  return { revision: rv, after: start.endsWith('\0') ? start.slice(0, -1) : start };
}
