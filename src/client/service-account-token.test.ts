import { describe, expect, it } from 'vitest';
import { SERVICE_ACCOUNTS } from '../api/resource-types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { FakeClient } from './client.fake.ts';
import { serviceAccountToken } from './service-account-token.ts';

const account = { namespace: 'kube-system', name: 'job-controller' };

/** Answers token requests as the server does, an hour long each. */
function issuer() {
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const client = new FakeClient();
  let issued = 0;
  client.createSubresource = async (type, key) => {
    await client.get(type, key);
    const expirationTimestamp = new Date(clock.now() + 3_600_000).toISOString();
    return { status: { token: `t${++issued}`, expirationTimestamp } };
  };
  return { client, clock, token: serviceAccountToken({ client, clock }, account) };
}

describe('serviceAccountToken', () => {
  it('makes the account, and keeps the token for four fifths of its life', async () => {
    const { client, clock, token } = issuer();
    expect(await token(false)).toBe('t1');
    expect(client.all(SERVICE_ACCOUNTS).map(({ metadata }) => metadata.name)).toEqual([
      account.name,
    ]);
    await clock.advance(47 * 60_000);
    expect(await token(false)).toBe('t1');
    await clock.advance(2 * 60_000);
    expect(await token(false)).toBe('t2');
  });

  it('asks anew when the server refused it', async () => {
    const { token } = issuer();
    await token(false);
    expect(await token(true)).toBe('t2');
  });
});
