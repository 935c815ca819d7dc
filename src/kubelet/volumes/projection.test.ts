import { describe, expect, it } from 'vitest';
import type { PodSpec, Volume } from '../../api/types.ts';
import { podWith } from '../pods.fake.ts';
import { projectedFiles } from './projection.ts';

const OBJECTS: Record<string, Record<string, string>> = {
  map: { one: '1', two: '2' },
  secret: { password: 'hidden' },
};
const data = async (_pod: unknown, name: string) => {
  const found = OBJECTS[name];
  return found && new Map(Object.entries(found).map(([key, text]) => [key, Buffer.from(text)]));
};
const DEPS = {
  config: { configMapData: data, secretData: data, trustBundles: async () => [] },
  allocatable: () => ({ cpu: '4', memory: '1Gi' }),
  token: async () => 'token-text',
};
const POD = podWith(
  {
    containers: [{ name: 'main', resources: { limits: { cpu: '1500m' } } }],
    securityContext: { runAsUser: 1000 },
  },
  { labels: { b: '2', a: 'x"y' } },
);

/** Path → `mode text`. */
async function shown(volume: Partial<Volume>) {
  const facts = { hostIps: [], podIps: [] };
  const files = await projectedFiles(POD, { name: 'v', ...volume }, facts, DEPS);
  const text = (path: string) => Buffer.from(files?.get(path)?.data ?? '').toString();
  return (
    files &&
    Object.fromEntries(
      [...files].map(([path, { mode }]) => [path, `${mode.toString(8)} ${text(path)}`]),
    )
  );
}

describe('projectedFiles', () => {
  it.each<[string, Partial<Volume>, Record<string, string> | undefined]>([
    ['every key', { configMap: { name: 'map' } }, { one: '644 1', two: '644 2' }],
    [
      'the keys that are asked for, where and as they are',
      {
        configMap: {
          name: 'map',
          defaultMode: 0o400,
          items: [
            { key: 'one', path: 'x/y' },
            { key: 'two', path: 'z', mode: 0o777 },
          ],
        },
      },
      { 'x/y': '400 1', z: '777 2' },
    ],
    ['a secret', { secret: { secretName: 'secret' } }, { password: '644 hidden' }],
    ['nothing of what is optional and missing', { configMap: { name: 'no', optional: true } }, {}],
    [
      'nothing of a key that is optional and missing',
      { secret: { secretName: 'secret', optional: true, items: [{ key: 'no', path: 'no' }] } },
      {},
    ],
    [
      'fields and resources of the pod',
      {
        downwardAPI: {
          items: [
            { path: 'name', fieldRef: { fieldPath: 'metadata.name' } },
            { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
            { path: 'cpu', resourceFieldRef: { resource: 'limits.cpu', containerName: 'main' } },
            {
              path: 'mem',
              resourceFieldRef: {
                resource: 'limits.memory',
                containerName: 'main',
                divisor: '1Mi',
              },
            },
          ],
        },
      },
      { name: '644 web', labels: '644 a="x\\"y"\nb="2"', cpu: '644 2', mem: '644 1024' },
    ],
    [
      'several sources, the later over the earlier, and a token for the pod’s one user',
      {
        projected: {
          defaultMode: 0o440,
          sources: [
            { configMap: { name: 'map' } },
            { secret: { name: 'secret', items: [{ key: 'password', path: 'one' }] } },
            { serviceAccountToken: { path: 'token' } },
          ],
        },
      },
      { one: '440 hidden', two: '440 2', token: '600 token-text' },
    ],
    ['no files of other volumes', { emptyDir: {} }, undefined],
  ])('holds %s', async (_what, volume, files) => {
    expect(await shown(volume)).toEqual(files);
  });

  it.each<[string, PodSpec['securityContext'], object]>([
    ['no user that is known', undefined, { mode: 0o444 }],
    ['one user', { runAsUser: 1000 }, { mode: 0o600, uid: 1000 }],
    ['an fsGroup', { fsGroup: 10000 }, { mode: 0o640 }],
    ['both', { runAsUser: 1000, fsGroup: 10000 }, { mode: 0o640, uid: 1000 }],
  ])('gives a token to those who need it: %s', async (_who, securityContext, owner) => {
    const pod = podWith({
      containers: [{ name: 'main' }],
      ...(securityContext && { securityContext }),
    });
    const sources = [{ configMap: { name: 'map' } }, { serviceAccountToken: { path: 'token' } }];
    const volume = { name: 'v', projected: { defaultMode: 0o444, sources } };
    const files = await projectedFiles(pod, volume, { hostIps: [], podIps: [] }, DEPS);
    expect(files?.get('token')).toEqual({ data: Buffer.from('token-text'), ...owner });
    expect(files?.get('one')?.uid).toBeUndefined();
  });

  it.each<[string, Partial<Volume>, string]>([
    ['a config map', { configMap: { name: 'no' } }, 'configmap "no" not found'],
    [
      'a key',
      { configMap: { name: 'map', items: [{ key: 'no', path: 'no' }] } },
      'references non-existent config key: no',
    ],
  ])('says that %s is missing', async (_what, volume, message) => {
    await expect(shown(volume)).rejects.toThrow(message);
  });
});
