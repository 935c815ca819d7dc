import { describe, expect, it } from 'vitest';
import { addressesIn, initialCluster } from './etcd-membership.ts';

const member = (name: string, ip: string) => ({
  id: '10276657743932975437',
  name,
  peerUrls: [`https://${ip}:2380`],
  clientUrls: [],
  isLearner: false,
});

describe('initialCluster', () => {
  it('names those that have been started, and is read back', () => {
    const text = initialCluster([
      member('a', '192.0.2.1'),
      member('', '192.0.2.9'),
      member('b', '192.0.2.2'),
    ]);
    expect(text).toBe('a=https://192.0.2.1:2380,b=https://192.0.2.2:2380');
    expect(addressesIn(text)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(addressesIn('')).toEqual([]);
  });
});
