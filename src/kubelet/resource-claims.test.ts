import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { podWith } from './pods.fake.ts';
import { claimProblem } from './resource-claims.ts';

const PROBLEM =
  'Failed to prepare dynamic resources: prepare dynamic resources: DRA drivers are not supported by this kubelet';
const withStatus = (pod: Pod, status: object): Pod => ({ ...pod, status }) as Pod;
const fromTemplate = podWith({
  resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'gpus' }],
});

describe('claimProblem', () => {
  it.each<[string, Pod, string | undefined]>([
    ['no claims', podWith(), undefined],
    [
      'a claim',
      podWith({ resourceClaims: [{ name: 'gpu', resourceClaimName: 'a' }] }),
      `${PROBLEM} (resource claims: gpu)`,
    ],
    ['a claim of a template', fromTemplate, `${PROBLEM} (resource claims: gpu)`],
    [
      'a template that needs no claim',
      withStatus(fromTemplate, { resourceClaimStatuses: [{ name: 'gpu' }] }),
      undefined,
    ],
    [
      'devices for extended resources',
      withStatus(podWith(), {
        extendedResourceClaimStatus: { resourceClaimName: 'x', requestMappings: [] },
      }),
      `${PROBLEM} (resource claims: x)`,
    ],
  ])('tells %s', (_what, pod, problem) => {
    expect(claimProblem(pod)).toBe(problem);
  });
});
