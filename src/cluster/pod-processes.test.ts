import { expect, it } from 'vitest';
import { obstacleToPods } from './pod-processes.ts';

it.each([
  ['version 1', 'tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n'],
  ['version 2', 'proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n'],
])('obstacleToPods: there is none where control groups of %s are mounted', (_, mounts) => {
  expect(obstacleToPods(mounts)).toBeUndefined();
});

it('obstacleToPods names what hides control groups, and what does not', () => {
  const mounts = 'cgroup2 /elsewhere cgroup2 rw 0 0\nnetns-a /sys sysfs rw,relatime 0 0\n';
  expect(obstacleToPods(mounts)).toMatch(/ip netns exec.*nsenter --net/);
});
