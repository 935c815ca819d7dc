import { describe, expect, it } from 'vitest';
import { CONFIG_API_VERSION, type ConfigError, readConfig } from './config.ts';
import { testProfiles } from './framework.fake.ts';

const file = (fields: object) => ({
  apiVersion: CONFIG_API_VERSION,
  kind: 'KubeSchedulerConfiguration',
  ...fields,
});

function mistakes(fields: object): string[] {
  try {
    testProfiles(readConfig(file(fields)).profiles);
  } catch (err) {
    return (err as ConfigError).message.split('\n');
  }
  return [];
}

describe('readConfig', () => {
  it('fills in upstream’s defaults', () => {
    expect(readConfig(undefined)).toMatchObject({
      percentageOfNodesToScore: 0,
      podInitialBackoffMs: 1000,
      podMaxBackoffMs: 10_000,
      leaderElection: { leaderElect: true, leaseMs: 15_000, resourceName: 'kube-scheduler' },
    });
  });

  it.each([
    [
      { podInitialBackoffSeconds: 0 },
      'podInitialBackoffSeconds: Invalid value: 0: must be greater than 0',
    ],
    [
      { parallelism: -1 },
      'parallelism: Invalid value: -1: should be an integer value greater than zero',
    ],
    [
      { percentageOfNodesToScore: 101 },
      'percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]',
    ],
    [{ profiels: [] }, 'profiels: Forbidden: unknown field'],
    [{ profiles: [] }, 'profiles: Required value'],
    [
      { profiles: [{ schedulerName: 'a' }, { schedulerName: 'a' }] },
      'profiles[1].schedulerName: Duplicate value: "a"',
    ],
    [
      { profiles: [{ plugins: { score: { enabled: [{ name: 'ImageLocality', weight: -1 }] } } }] },
      'profiles[0].plugins.score.enabled[0].weight: Invalid value: -1: must be a non-negative integer',
    ],
    [
      {
        profiles: [
          { pluginConfig: [{ name: 'InterPodAffinity', args: { hardPodAffinityWeight: 200 } }] },
        ],
      },
      'profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 200: not in valid range [0-100]',
    ],
    [
      { profiles: [{ pluginConfig: [{ name: 'Nonsense', args: {} }] }] },
      'profiles[0].pluginConfig[0].args: Invalid value: "Nonsense": not a known plugin',
    ],
    [
      { extenders: [{ urlPrefix: 'http://x', prioritizeVerb: 'p', weight: 0 }] },
      'extenders[0].weight: Invalid value: 0: must have a positive weight applied to it',
    ],
  ])('refuses %j by field', (fields, message) => {
    expect(mistakes(fields)).toContain(message);
  });

  it('names the plugin that is not known', () => {
    const plugins = { filter: { enabled: [{ name: 'Nope' }] } };
    expect(mistakes({ profiles: [{ plugins }] })[0]).toContain(
      'profiles[0].plugins.filter.enabled[0].name: Unsupported value: "Nope"',
    );
  });
});

describe('createProfiles', () => {
  const profileWith = (plugins: object) => {
    const profiles = testProfiles(readConfig(file({ profiles: [{ plugins }] })).profiles);
    const profile = profiles.get('default-scheduler');
    if (!profile) throw new Error('no profile');
    return profile.points;
  };

  it('turns a plugin off everywhere, and off at one point only', () => {
    const off = profileWith({ multiPoint: { disabled: [{ name: 'NodeResourcesFit' }] } });
    expect(off.filter.map((p) => p.name)).not.toContain('NodeResourcesFit');
    expect(off.score.map((s) => s.plugin.name)).not.toContain('NodeResourcesFit');
    const some = profileWith({ score: { disabled: [{ name: 'NodeResourcesFit' }] } });
    expect(some.filter.map((p) => p.name)).toContain('NodeResourcesFit');
    expect(some.score.map((s) => s.plugin.name)).not.toContain('NodeResourcesFit');
  });

  it('takes weights of a point before those of multiPoint before the defaults', () => {
    const weights = (plugins: object) =>
      Object.fromEntries(profileWith(plugins).score.map((s) => [s.plugin.name, s.weight]));
    expect(weights({})).toMatchObject({ TaintToleration: 3, NodeAffinity: 2, ImageLocality: 1 });
    expect(
      weights({ multiPoint: { enabled: [{ name: 'ImageLocality', weight: 7 }] } }),
    ).toMatchObject({
      ImageLocality: 7,
    });
    expect(
      weights({
        multiPoint: { enabled: [{ name: 'ImageLocality', weight: 7 }] },
        score: { enabled: [{ name: 'ImageLocality', weight: 9 }] },
      }),
    ).toMatchObject({ ImageLocality: 9, TaintToleration: 3 });
  });

  it('keeps only what is named after disabling *', () => {
    const points = profileWith({
      multiPoint: {
        disabled: [{ name: '*' }],
        enabled: [{ name: 'PrioritySort' }, { name: 'NodeName' }, { name: 'DefaultBinder' }],
      },
    });
    expect(points.filter.map((p) => p.name)).toEqual(['NodeName']);
    expect(points.score).toEqual([]);
  });
});
