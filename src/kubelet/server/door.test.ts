import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { DEFAULTS, type KubeletConfiguration } from '../config.ts';
import { KubeletDoor } from './door.ts';
import { HttpError } from './http-error.ts';

interface Asked {
  readonly kind: string;
  readonly spec: {
    user?: string;
    token?: string;
    resourceAttributes?: { verb: string; subresource: string; name: string };
  };
}

/** Knows one token, and lets users do what `rights` names: `USER VERB SUBRESOURCE`. */
function doorWith(rights: readonly string[], change: Partial<KubeletConfiguration> = {}) {
  const asked: Asked[] = [];
  const clock = new FakeClock();
  const client = {
    create: async (_type: unknown, review: unknown) => {
      const { kind, spec } = review as Asked;
      asked.push({ kind, spec });
      if (kind === 'TokenReview') {
        const known = spec.token === 'good';
        return { status: { authenticated: known, user: { username: 'prometheus', groups: [] } } };
      }
      const { verb, subresource } = spec.resourceAttributes ?? { verb: '', subresource: '' };
      return { status: { allowed: rights.includes(`${spec.user} ${verb} ${subresource}`) } };
    },
  };
  const deps = { client: client as never, clock, nodeName: 'n1' };
  return { door: new KubeletDoor(deps, { ...DEFAULTS, ...change }), asked, clock };
}

function request(path: string, from: { user?: string; token?: string } = {}, method = 'GET') {
  const socket = {
    authorized: from.user !== undefined,
    getPeerCertificate: () => ({ subject: { CN: from.user, O: 'team' } }),
  };
  const authorization = from.token === undefined ? undefined : `Bearer ${from.token}`;
  return { method, url: path, socket, headers: { authorization } } as unknown as IncomingMessage;
}

const code = (promise: Promise<void>) =>
  promise.then(
    () => 200,
    (err: unknown) => (err instanceof HttpError ? err.code : 0),
  );

describe('KubeletDoor', () => {
  it('turns away who says nothing of themselves', async () => {
    const { door, asked } = doorWith([]);
    expect(await code(door.admit(request('/pods')))).toBe(401);
    expect(await code(door.admit(request('/pods', { token: 'bad' })))).toBe(401);
    expect(asked.map(({ kind }) => kind)).toEqual(['TokenReview']);
  });

  it('asks the API server what certificates and tokens may do', async () => {
    const { door } = doorWith(['prometheus get metrics', 'kube-apiserver create proxy']);
    expect(await code(door.admit(request('/metrics', { token: 'good' })))).toBe(200);
    expect(await code(door.admit(request('/stats/summary', { token: 'good' })))).toBe(403);
    const exec = request('/exec/ns/p/c', { user: 'kube-apiserver' }, 'POST');
    expect(await code(door.admit(exec))).toBe(200);
  });

  it('nodes/proxy GET to exec: reading is no right to run', async () => {
    const { door, asked } = doorWith(['reader get proxy']);
    expect(await code(door.admit(request('/containerLogs/ns/p/c', { user: 'reader' })))).toBe(200);
    expect(await code(door.admit(request('/exec/ns/p/c', { user: 'reader' })))).toBe(403);
    expect(asked.at(-1)?.spec.resourceAttributes?.verb).toBe('create');
  });

  it('remembers answers for as long as it is told', async () => {
    const { door, asked, clock } = doorWith(['a get pods']);
    for (let i = 0; i < 5; i++) await door.admit(request('/pods', { user: 'a' }));
    expect(asked).toHaveLength(1);
    await clock.advance(5 * 60_000 + 1);
    await door.admit(request('/pods', { user: 'a' }));
    expect(asked).toHaveLength(2);
  });

  it('is shut when the API server cannot be asked', async () => {
    const client = { create: () => Promise.reject(new Error('connection refused')) };
    const deps = { client: client as never, clock: new FakeClock(), nodeName: 'n1' };
    const door = new KubeletDoor(deps, DEFAULTS);
    expect(await code(door.admit(request('/pods', { user: 'a' })))).toBe(500);
  });
});
