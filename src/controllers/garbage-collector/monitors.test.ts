import { expect, it } from 'vitest';
import type { ResourceType } from '../../api/resource-types.ts';
import type { PartialObject } from '../../api/types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import { InformerFactory } from '../../client/informer-factory.ts';
import { realClock } from '../../util/clock.ts';
import { silent } from '../../util/log.ts';
import type { ControllerContext } from '../context.ts';
import { Monitors } from './monitors.ts';

const GROUP = 'made.example.com';
const VERBS = ['delete', 'list', 'watch'];
const GADGETS: ResourceType<PartialObject> = {
  ...{ group: GROUP, version: 'v1', resource: 'gadgets', kind: 'Gadget', namespaced: true },
};

const allThatNeedsNoTime = () => realClock.sleep(0);

/** A server whose kinds can be changed, and whose answers can be held up. */
function changingServer() {
  const client = new FakeClient();
  const kinds: ResourceType<unknown>[] = [];
  let held: Promise<void> = Promise.resolve();
  client.raw = async (_method, path) => {
    const groups = [...new Set(kinds.map(({ group }) => group))];
    const resources = kinds
      .filter(({ group, version }) => path === `/apis/${group}/${version}`)
      .map(({ resource, kind, namespaced }) => ({
        name: resource,
        kind,
        namespaced,
        verbs: VERBS,
      }));
    const answer =
      path === '/apis'
        ? { groups: groups.map((name) => ({ name, versions: [{ version: 'v1' }] })) }
        : { resources };
    await held;
    return answer as never;
  };
  return {
    client,
    kinds,
    /** What `ask` asks at once is answered, by what is there then, when `release` is called. */
    async holding(ask: () => Promise<void>) {
      const { promise, resolve: release } = Promise.withResolvers<void>();
      held = promise;
      const answered = ask();
      await allThatNeedsNoTime();
      held = Promise.resolve();
      return { answered, release };
    },
  };
}

it('an answer from before a kind was there does not end its watch', async () => {
  const { client, kinds, holding } = changingServer();
  const stop = new AbortController();
  const gone: string[] = [];
  const seen = Promise.withResolvers<string>();
  const monitors = new Monitors(
    {
      ...{ client, clock: realClock, log: silent },
      informers: new InformerFactory(client),
    } as unknown as ControllerContext,
    {
      seen: (_type, { metadata }) => seen.resolve(metadata.name),
      gone: (uid) => gone.push(uid),
    },
  );
  client.seed(GADGETS, {
    ...{ apiVersion: `${GROUP}/v1`, kind: 'Gadget' },
    metadata: { namespace: 'default', name: 'one' },
  });
  const early = await holding(() => monitors.refresh(stop.signal));
  kinds.push(GADGETS);
  const late = monitors.refresh(stop.signal);
  await allThatNeedsNoTime();
  early.release();
  await Promise.all([early.answered, late]);
  expect(await seen.promise).toBe('one');
  expect(gone).toEqual([]);
  expect(monitors.typeOf({ apiVersion: `${GROUP}/v1`, kind: 'Gadget' })).toMatchObject(GADGETS);
  stop.abort();
  await monitors.finished();
});
