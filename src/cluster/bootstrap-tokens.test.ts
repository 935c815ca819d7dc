import { describe, expect, it } from 'vitest';
import { CLUSTER_INFO, JWS_PREFIX } from '../api/bootstrap-tokens.ts';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import type { ConfigMap, Draft } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { realClock } from '../util/clock.ts';
import { untilSigned } from './bootstrap-tokens.ts';

const TOKEN = 'abcdef.0123456789abcdef';

describe('untilSigned', () => {
  it('waits for the signature of this token, and of no other', async () => {
    const client = new FakeClient();
    const signed = (...ids: string[]): Draft<ConfigMap> => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...CLUSTER_INFO },
      data: Object.fromEntries(ids.map((id) => [JWS_PREFIX + id, 'signature'])),
    });
    client.seed(CONFIG_MAPS, signed());
    const told: string[] = [];
    const waiting = untilSigned(client, TOKEN, realClock, new AbortController().signal).then(() =>
      told.push('signed'),
    );
    const sign = async (...ids: string[]) => {
      const { metadata } = await client.get(CONFIG_MAPS, CLUSTER_INFO);
      await client.update(CONFIG_MAPS, { ...signed(...ids), metadata });
      told.push(ids.join());
    };
    await sign('ghijkl');
    await sign('ghijkl', 'abcdef');
    await waiting;
    expect(told).toEqual(['ghijkl', 'ghijkl,abcdef', 'signed']);
  });

  it('gives up when it is told to', async () => {
    const stop = new AbortController();
    const waiting = untilSigned(new FakeClient(), TOKEN, realClock, stop.signal);
    stop.abort(new Error('too late'));
    await expect(waiting).rejects.toThrow('too late');
  });
});
