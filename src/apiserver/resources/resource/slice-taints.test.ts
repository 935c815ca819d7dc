import { describe, expect, it } from 'vitest';
import type { ResourceSlice } from '../../../api/types.ts';
import { stampTaints } from './slice-taints.ts';

const slice = (...taints: object[]) =>
  ({ spec: { devices: [{ name: 'gpu', taints }] } }) as unknown as ResourceSlice;
const times = ({ spec }: ResourceSlice) =>
  spec.devices?.flatMap(({ taints }) => taints?.map(({ timeAdded }) => timeAdded));

describe('stampTaints', () => {
  const given = '2020-01-01T00:00:00Z';
  it('says when a taint came, unless it says so itself', () => {
    const made = slice({ key: 'a', effect: 'NoExecute' }, { key: 'b', timeAdded: given });
    stampTaints(made, 0);
    expect(times(made)).toEqual(['1970-01-01T00:00:00Z', given]);
  });

  it('keeps the time of one that was there', () => {
    const before = slice({ key: 'a', effect: 'NoExecute', timeAdded: given });
    const after = slice({ key: 'a', effect: 'NoExecute' }, { key: 'a', effect: 'NoSchedule' });
    stampTaints(after, 0, before);
    expect(times(after)).toEqual([given, '1970-01-01T00:00:00Z']);
  });
});
