import { describe, expect, it } from 'vitest';
import type { Node } from '../../api/types.ts';
import { servingProblem } from './serving-approving-controller.ts';

const node = {
  metadata: { name: 'a' },
  status: { addresses: [{ type: 'InternalIP', address: '192.168.1.7' }] },
} as unknown as Node;
const request = {
  commonName: 'system:node:a',
  organizations: ['system:nodes'],
  dnsNames: ['a'],
  ipAddresses: ['192.168.1.7'],
  emailAddresses: [],
  uris: [],
};
const spec = {
  username: 'system:node:a',
  usages: ['digital signature', 'server auth'],
  request: '',
  signerName: 'kubernetes.io/kubelet-serving',
};

describe('servingProblem', () => {
  it('finds none with what a node asks for itself', () => {
    expect(servingProblem({ spec }, request, node)).toBeUndefined();
  });

  const cases: [string, Parameters<typeof servingProblem>, string][] = [
    ['another node that asks', [{ spec: { ...spec, username: 'b' } }, request, node], 'b asks for'],
    ['a node that is not there', [{ spec }, request, undefined], 'no Node'],
    [
      'an address of another',
      [{ spec }, { ...request, ipAddresses: ['192.168.1.8'] }, node],
      '192.168.1.8 is no name or address',
    ],
    ['a name of another', [{ spec }, { ...request, dnsNames: ['kubernetes'] }, node], 'is no name'],
    ['a client certificate', [{ spec: { ...spec, usages: [] } }, request, node], 'usages'],
  ];
  it.each(cases)('finds %s', (_, asked, words) => {
    expect(servingProblem(...asked)).toContain(words);
  });
});
