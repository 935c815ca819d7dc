import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SECRETS } from '../../api/resource-types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { World } from '../world.fake.ts';
import { tokenCleanerController } from './token-cleaner-controller.ts';

let clock: FakeClock;
let world: World;
beforeEach(() => {
  clock = new FakeClock(Date.now());
  world = new World(new FakeClient({ now: () => clock.now() }), clock);
});
afterEach(() => world.stop());

describe('token cleaner', () => {
  const token = (id: string, more: Record<string, string>) => {
    const data = { 'token-id': id, 'token-secret': '0123456789abcdef', ...more };
    world.client.seed(SECRETS, {
      metadata: { namespace: 'kube-system', name: `bootstrap-token-${id}` },
      type: 'bootstrap.kubernetes.io/token',
      data: Object.fromEntries(
        Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      ),
    } as never);
  };
  const names = () => world.client.all(SECRETS).map(({ metadata }) => metadata.name.slice(-6));
  const inSeconds = (s: number) => new Date(clock.now() + s * 1000).toISOString();

  it('takes each token when it expires, and keeps those that never do', async () => {
    token('aaaaaa', { expiration: inSeconds(-1) });
    token('bbbbbb', { expiration: inSeconds(60) });
    token('cccccc', {});
    world.start([tokenCleanerController]);
    await world.until(() => expect(names()).toEqual(['bbbbbb', 'cccccc']));
    await world.atRest();
    await clock.advance(61_000);
    await world.until(() => expect(names()).toEqual(['cccccc']));
  });
});
