import { describe, expect, it } from 'vitest';
import type { PodSpec } from '../../../api/types.ts';
import { validateOs } from './validate-os.ts';

const container = (securityContext: object) => ({ name: 'a', image: 'b', securityContext });
const check = (spec: object) => validateOs(spec as PodSpec, 'spec');
const fields = (spec: object) => check(spec).map(({ field }) => field);

describe('validateOs', () => {
  it('asks nothing of Pods that name no system', () => {
    expect(fields({ hostPID: true, containers: [container({ windowsOptions: {} })] })).toEqual([]);
  });

  it('knows two systems', () => {
    expect(check({ os: { name: '' } })).toMatchObject([{ field: 'spec.os.name' }]);
    expect(check({ os: { name: 'plan9' } })).toMatchObject([
      { type: 'FieldValueNotSupported', field: 'spec.os' },
    ]);
  });

  it('forbids options of Windows in a Pod of Linux', () => {
    const spec = {
      os: { name: 'linux' },
      securityContext: { windowsOptions: {}, runAsUser: 1 },
      containers: [container({ windowsOptions: { hostProcess: true } }), container({})],
    };
    expect(fields(spec)).toEqual([
      'spec.securityContext.windowsOptions',
      'spec.containers[0].securityContext.windowsOptions',
    ]);
    expect(check(spec)[0]?.message).toContain('windows options cannot be set for a linux pod');
  });

  it('forbids what only Linux has in a Pod of Windows', () => {
    const spec = {
      ...{ os: { name: 'windows' }, hostPID: true, hostIPC: false, shareProcessNamespace: false },
      securityContext: { windowsOptions: { runAsUserName: 'u' }, fsGroup: 1, runAsUser: 0 },
      initContainers: [container({ capabilities: {} })],
      containers: [container({ privileged: false, runAsNonRoot: true })],
    };
    expect(fields(spec)).toEqual([
      'spec.hostPID',
      'spec.shareProcessNamespace',
      'spec.securityContext.fsGroup',
      'spec.securityContext.runAsUser',
      'spec.initContainers[0].securityContext.capabilities',
      'spec.containers[0].securityContext.privileged',
    ]);
    expect(check(spec)[0]?.message).toContain('cannot be set for a windows pod');
  });
});
