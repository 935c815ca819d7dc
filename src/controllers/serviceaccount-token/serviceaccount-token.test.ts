import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SECRETS, SERVICE_ACCOUNTS } from '../../api/resource-types.ts';
import type { Secret, ServiceAccount } from '../../api/types.ts';
import { World } from '../world.fake.ts';
import { nextStep } from './legacy-token-cleaner.ts';
import { serviceAccountTokenController } from './token-controller.ts';

const key = { namespace: 'a', name: 'token' };
const account = { metadata: { namespace: 'a', name: 'robot' } } as never;
const secret = {
  metadata: { ...key, annotations: { 'kubernetes.io/service-account.name': 'robot' } },
  type: 'kubernetes.io/service-account-token',
} as never;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());
const start = () =>
  world.start([serviceAccountTokenController], {
    rootCa: { current: () => 'CA', onChange: () => {} },
    signServiceAccountToken: async (claims) => `signed:${(claims as { sub: string }).sub}`,
  });
const text = (value: string | undefined) => Buffer.from(value ?? '', 'base64').toString();

describe('token controller', () => {
  it('fills a token Secret, gives back what is taken out, and deletes it with its account', async () => {
    const [made] = world.client.seed(SERVICE_ACCOUNTS, account) as unknown as ServiceAccount[];
    world.client.seed(SECRETS, secret);
    start();
    await world.until(async () => {
      const { data, metadata } = await world.client.get(SECRETS, key);
      expect(text(data?.token)).toBe('signed:system:serviceaccount:a:robot');
      expect([text(data?.['ca.crt']), text(data?.namespace)]).toEqual(['CA', 'a']);
      expect(metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(made?.metadata.uid);
    });
    await world.client.patch(SECRETS, key, { type: 'merge', body: { data: { token: null } } });
    await world.until(async () =>
      expect((await world.client.get(SECRETS, key)).data?.token).toBeDefined(),
    );
    await world.atRest();
    await world.client.delete(SERVICE_ACCOUNTS, { namespace: 'a', name: 'robot' });
    await world.until(() => expect(world.client.all(SECRETS)).toEqual([]));
  });

  it('deletes a Secret whose account never was', async () => {
    world.client.seed(SECRETS, secret);
    start();
    await world.until(() => expect(world.client.all(SECRETS)).toEqual([]));
  });
});

describe('nextStep', () => {
  const limit = Date.UTC(2026, 0, 1);
  const of = (created: string, labels: Record<string, string> = {}) =>
    nextStep(
      { metadata: { name: 't', creationTimestamp: created, labels } } as unknown as Secret,
      { secrets: [{ name: 't' }] } as ServiceAccount,
      limit,
    );
  const USED = 'kubernetes.io/legacy-token-last-used';
  const SINCE = 'kubernetes.io/legacy-token-invalid-since';
  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['leaves young tokens', '2026-02-01', {}, undefined],
    ['leaves used tokens', '2020-01-01', { [USED]: '2026-02-01' }, undefined],
    ['invalidates unused ones', '2020-01-01', { [USED]: '2021-01-01' }, 'invalidate'],
    ['waits before it deletes', '2020-01-01', { [SINCE]: '2026-01-02' }, undefined],
    ['deletes what was invalid for long', '2020-01-01', { [SINCE]: '2025-01-01' }, 'delete'],
    [
      'revives what is used again',
      '2020-01-01',
      { [SINCE]: '2025-01-01', [USED]: '2026-02-01' },
      'revive',
    ],
  ])('%s', (...[, created, labels, wanted]) => expect(of(created, labels)).toBe(wanted));

  it('leaves tokens that people made', () => {
    const made = { metadata: { name: 't', creationTimestamp: '2020-01-01' } } as unknown as Secret;
    expect(nextStep(made, {} as ServiceAccount, limit)).toBeUndefined();
  });
});
