import { describe, expect, it } from 'vitest';
import { NODES, PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import { MirrorPods } from './mirror-pods.ts';
import { parseStaticPod } from './static-pod.ts';

const manifest = (image: string): string =>
  `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"${image}"}]}}`;
const parse = (image: string): Promise<Pod> =>
  parseStaticPod(manifest(image), { file: 'a', nodeName: 'n', seen: '2026-01-01T00:00:00Z' });

describe('MirrorPods', () => {
  it('makes a mirror anew that was deleted before the answer to its creation came', async () => {
    const client = new FakeClient();
    const [node] = client.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } });
    const wanted = [await parse('one')];
    const mirrors = new MirrorPods({
      ...{ client, clock: realClock, log: silent, wanted: () => wanted, node: () => node },
      onMirror: () => {},
    });
    const { create } = client;
    const made: Pod[] = [];
    client.create = async (...args) => {
      const mirror = (await create.apply(client, args)) as unknown as Pod;
      made.push(mirror);
      if (made.length === 1) {
        mirrors.seen(mirror);
        await client.delete(PODS, mirror.metadata, { gracePeriodSeconds: 0 });
        mirrors.gone(mirror);
      }
      return mirror as never;
    };
    const stop = new AbortController();
    const running = mirrors.run(stop.signal);
    mirrors.poke();
    await expect
      .poll(() => client.all(PODS).map(({ metadata }) => metadata.uid))
      .toEqual([expect.not.stringMatching(`^${made[0]?.metadata.uid}$`)]);
    expect(made).toHaveLength(2);
    stop.abort();
    await running;
  });

  it('makes a mirror, makes it anew for another version or after a deletion, and removes it at the end', async () => {
    const client = new FakeClient();
    const [node] = client.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } });
    let wanted = [await parse('one')];
    const shown: string[] = [];
    const mirrors = new MirrorPods({
      client,
      clock: realClock,
      log: silent,
      wanted: () => wanted,
      node: () => node,
      onMirror: (pod) => shown.push(pod.metadata.uid),
    });
    const stop = new AbortController();
    const running = mirrors.run(stop.signal);
    const images = (): unknown[] => client.all(PODS).map((p) => p.spec?.containers[0]?.image);
    mirrors.poke();
    await expect.poll(images).toEqual(['one']);
    expect(shown).toEqual([wanted[0]?.metadata.uid]);

    wanted = [await parse('two')];
    mirrors.poke();
    await expect.poll(images).toEqual(['two']);
    expect(mirrors.of(wanted[0] as Pod)?.metadata.name).toBe('a-n');

    const [mirror] = client.all(PODS);
    await client.delete(PODS, { namespace: 'default', name: 'a-n' }, { gracePeriodSeconds: 0 });
    mirrors.gone(mirror as Pod);
    await expect.poll(() => client.all(PODS)[0]?.metadata.uid).not.toBe(mirror?.metadata.uid);
    await expect.poll(images).toEqual(['two']);

    wanted = [];
    mirrors.poke();
    await expect.poll(images).toEqual([]);
    stop.abort();
    await running;
  });
});
