import { beforeAll, describe, expect, it } from 'vitest';
import type { ClusterTrustBundle } from '../../api/types.ts';
import { createAuthority } from '../../pki/ca.ts';
import { podWith } from '../pods.fake.ts';
import { type TrustSource, trustAnchors } from './trust-anchors.ts';

const SIGNER = 'example.com/signer';
const POD = podWith({});
let [first, second] = ['', ''];
let bundles: ClusterTrustBundle[] = [];

beforeAll(async () => {
  const made = await Promise.all(['one', 'two'].map((name) => createAuthority(name, Date.now())));
  [first = '', second = ''] = made.map(({ certificate }) => `${certificate.trim()}\n`);
  const bundle = (name: string, env: string, trustBundle: string) =>
    ({
      metadata: { name, labels: { env } },
      spec: { ...(name.includes(':') ? { signerName: SIGNER } : {}), trustBundle },
    }) as unknown as ClusterTrustBundle;
  bundles = [
    bundle('roots', 'test', `of the company\n${first}and this\n${second}\n${first}`),
    bundle('example.com:signer:a', 'test', first),
    bundle('example.com:signer:b', 'live', `${first}${second}`),
  ];
});

function anchors(source: Partial<TrustSource>): Promise<string> {
  return trustAnchors(
    POD,
    { path: 'ca.pem', ...source },
    {
      trustBundles: async (_pod, chosen) =>
        bundles.filter(({ metadata, spec }) =>
          'name' in chosen ? metadata.name === chosen.name : spec.signerName === chosen.signerName,
        ),
    },
  );
}

describe('trustAnchors', () => {
  it('are the certificates of a named bundle, each once and nothing besides', async () => {
    expect(await anchors({ name: 'roots' })).toBe([first, second].sort().join(''));
  });

  it('are those of all bundles of a signer that the selector selects', async () => {
    const of = (labelSelector: object) => anchors({ signerName: SIGNER, labelSelector });
    expect(await of({ matchLabels: { env: 'test' } })).toBe(first);
    expect(await of({})).toBe([first, second].sort().join(''));
  });

  it('must be there, unless they are optional', async () => {
    await expect(anchors({ name: 'none' })).rejects.toThrow(
      'clustertrustbundle.certificates.k8s.io "none" not found',
    );
    const nothing = 'combination of signerName and labelSelector matched zero ClusterTrustBundles';
    await expect(anchors({ signerName: SIGNER })).rejects.toThrow(nothing);
    expect(await anchors({ name: 'none', optional: true })).toBe('');
  });
});
