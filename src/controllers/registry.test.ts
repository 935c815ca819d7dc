import { describe, expect, it } from 'vitest';
import { CONTROLLERS, selectControllers } from './registry.ts';

describe('selectControllers', () => {
  it('takes all, none or some, by old names too', () => {
    const all = Object.keys(CONTROLLERS).filter((name) => !CONTROLLERS[name]?.off);
    expect(selectControllers(['*'])).toEqual(all);
    expect(selectControllers([])).toEqual([]);
    expect(selectControllers(['job', 'deployment-controller'])).toEqual([
      'deployment-controller',
      'job-controller',
    ]);
    expect(selectControllers(['*', '-garbagecollector'])).toEqual(
      all.filter((name) => name !== 'garbage-collector-controller'),
    );
  });

  it('lets the first mention decide', () => {
    expect(selectControllers(['job', '-job'])).toEqual(['job-controller']);
    expect(selectControllers(['-job', 'job'])).toEqual([]);
  });

  it.each([
    'node-route-controller',
    'route',
    'cloud-node-lifecycle-controller',
    'validatingadmissionpolicy-status-controller',
    'selinux-warning-controller',
    'storageversion-garbage-collector-controller',
    'podcertificaterequest-cleaner-controller',
    'podgroup-protection-controller',
    'resourcepoolstatusrequest-controller',
  ])('says why %s is not here, and lets it be switched off', (name) => {
    expect(() => selectControllers(['*', name])).toThrow(`"${name}" does not run here: `);
    expect(selectControllers(['*', `-${name}`])).toEqual(selectControllers(['*']));
  });

  it('refuses a name that does not exist', () => {
    expect(() => selectControllers(['*', '-nonsense'])).toThrow(
      '"nonsense" is not in the list of known controllers',
    );
  });
});
