import { describe, expect, it } from 'vitest';
import { pathsUnder } from './paths.ts';
import { type MachineFacts, problemsOf } from './preflight.ts';

const paths = pathsUnder('/');
const V1 = ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer'].map(
  (name) => `cgroup /sys/fs/cgroup/${name} cgroup rw,relatime,${name} 0 0`,
);
const fit: MachineFacts = {
  platform: 'linux',
  arch: 'x64',
  uid: 0,
  cgroupMounts: V1,
  missingPrograms: [],
  freeBytes: 10 * 1024 ** 3,
  takenPorts: [],
  hasDefaultRoute: true,
};

describe('problemsOf', () => {
  it('finds none on a machine that fits, with cgroups of either version', () => {
    expect(problemsOf(fit, paths)).toEqual([]);
    const v2 = ['cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0'];
    expect(problemsOf({ ...fit, cgroupMounts: v2 }, paths)).toEqual([]);
  });

  it.each<[Partial<MachineFacts>, string]>([
    [{ platform: 'darwin' }, 'k8ts runs on Linux only, and this is darwin'],
    [{ arch: 's390x' }, 'k8ts runs on x86_64 and aarch64, and this machine is s390x'],
    [{ uid: 1000 }, 'k8ts up must run as root'],
    [{ cgroupMounts: [] }, 'No cgroups are mounted'],
    [{ cgroupMounts: V1.slice(0, 3) }, 'The cgroup controllers pids, devices, freezer are missing'],
    [{ freeBytes: 12 * 1024 ** 2 }, 'Only 12 MiB are free for /var/lib/k8ts'],
    [{ hasDefaultRoute: false }, 'This machine has no default route'],
    [{ missingPrograms: ['conntrack'] }, 'conntrack is not installed'],
    [{ takenPorts: [6443] }, 'Port 6443 is taken by another program'],
  ])('answers one sentence for %j', (change, sentence) => {
    const problems = problemsOf({ ...fit, ...change }, paths);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(sentence);
  });

  it('refuses a root that is too deep for sockets', () => {
    const deep = pathsUnder(`/tmp/${'x'.repeat(90)}`);
    expect(problemsOf(fit, deep)).toEqual([expect.stringContaining('too long for Unix sockets')]);
  });
});
