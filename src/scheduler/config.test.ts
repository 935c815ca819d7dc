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
      'profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 200: not in valid range [0, 100]',
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

  const ARGS = 'profiles[0].pluginConfig[0].args';
  const shape = (...points: number[]) => ({
    scoringStrategy: {
      type: 'RequestedToCapacityRatio',
      requestedToCapacityRatio: {
        shape: points.map((utilization) => ({ utilization, score: utilization })),
      },
    },
  });
  const required = (...nodeSelectorTerms: object[]) => ({
    addedAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
  });
  const expression = (operator: string, ...values: string[]) =>
    required({ matchExpressions: [{ key: 'a', operator, values }] });
  const TERM = `addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  it.each([
    [
      'NodeResourcesFit',
      { ignoredResources: ['not a name'] },
      'ignoredResources[0]: Invalid value: "not a name"',
    ],
    [
      'NodeResourcesFit',
      { ignoredResourceGroups: ['example.com/x'] },
      `ignoredResourceGroups[0]: Invalid value: "example.com/x": resource group name can't contain '/'`,
    ],
    [
      'NodeResourcesFit',
      { scoringStrategy: { type: 'Best' } },
      'scoringStrategy.type: Unsupported value: "Best"',
    ],
    [
      'NodeResourcesFit',
      { scoringStrategy: { resources: [{ name: 'cpu', weight: 101 }] } },
      'scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu not in valid range (0, 100]',
    ],
    [
      'NodeResourcesFit',
      { scoringStrategy: { type: 'RequestedToCapacityRatio' } },
      'scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is RequestedToCapacityRatio',
    ],
    [
      'NodeResourcesFit',
      { scoringStrategy: { requestedToCapacityRatio: {} } },
      'scoringStrategy.requestedToCapacityRatio: Forbidden: must be nil when type is not RequestedToCapacityRatio',
    ],
    [
      'NodeResourcesFit',
      shape(),
      'scoringStrategy.requestedToCapacityRatio.shape: Required value: at least one point must be specified',
    ],
    [
      'NodeResourcesFit',
      shape(10, 10),
      'scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 10: values must be sorted in increasing order',
    ],
    [
      'NodeResourcesFit',
      shape(11),
      'scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: 11: not in valid range [0, 10]',
    ],
    [
      'NodeResourcesBalancedAllocation',
      { resources: [{ name: 'cpu', weight: 2 }] },
      'resources[0].weight: Invalid value: 2: must be 1',
    ],
    [
      'NodeResourcesBalancedAllocation',
      { resources: [{ name: 'cpu' }, { name: 'cpu' }] },
      'resources[1].name: Duplicate value: "cpu"',
    ],
    [
      'PodTopologySpread',
      {
        defaultConstraints: [{ maxSkew: 1, topologyKey: 'z', whenUnsatisfiable: 'DoNotSchedule' }],
      },
      'defaultingType: Invalid value: "System": when .defaultConstraints are not empty',
    ],
    [
      'PodTopologySpread',
      { defaultingType: 'List', defaultConstraints: [{ maxSkew: 0 }] },
      'defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)',
    ],
    [
      'PodTopologySpread',
      { defaultingType: 'List', defaultConstraints: [{ maxSkew: 1, labelSelector: {} }] },
      'defaultConstraints[0].labelSelector: Forbidden: constraint must not define a selector, as they deduced for each pod',
    ],
    [
      'PodTopologySpread',
      {
        defaultingType: 'List',
        defaultConstraints: [1, 2].map((maxSkew) => ({
          ...{ maxSkew, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' },
        })),
      },
      'defaultConstraints[1]: Duplicate value: "{zone, ScheduleAnyway}"',
    ],
    [
      'DefaultPreemption',
      { minCandidateNodesPercentage: 101 },
      'minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]',
    ],
    [
      'DefaultPreemption',
      { minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0 },
      'minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as minCandidateNodesAbsolute',
    ],
    [
      'VolumeBinding',
      { bindTimeoutSeconds: -1 },
      'bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value',
    ],
    [
      'DynamicResources',
      { bindingTimeout: '10ms' },
      'bindingTimeout: Invalid value: "10ms": must be at least 1 second',
    ],
    [
      'DynamicResources',
      { filterTimeout: '-1s' },
      'filterTimeout: Invalid value: "-1s": must be a duration such as 30s or 1m30s',
    ],
    [
      'NodeAffinity',
      required(),
      `${TERM}: Required value: must have at least one node selector term`,
    ],
    [
      'NodeAffinity',
      expression('In'),
      `${TERM}[0].matchExpressions[0].values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty`,
    ],
    [
      'NodeAffinity',
      expression('Gt', 'many'),
      `${TERM}[0].matchExpressions[0].values: Invalid value: ["many"]: for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
    [
      'NodeAffinity',
      expression('Like', 'a'),
      `${TERM}[0].matchExpressions[0].operator: Unsupported value: "Like"`,
    ],
    [
      'NodeAffinity',
      required({ matchFields: [{ key: 'metadata.uid', operator: 'In', values: ['a'] }] }),
      `${TERM}[0].matchFields[0].key: Forbidden: "metadata.uid" is not a valid field selector key`,
    ],
    ['ImageLocality', { anything: 1 }, 'anything: Forbidden: unknown field'],
    ['InterPodAffinity', { kind: 'Other' }, 'kind: Unsupported value: "Other"'],
  ])('refuses args of %s: %j', (name, args, message) => {
    const found = mistakes({ profiles: [{ pluginConfig: [{ name, args }] }] });
    expect(found.filter((line) => line.startsWith(`${ARGS}.${message}`))).toHaveLength(1);
  });

  it.each([
    [
      { leaseDuration: '5s', renewDeadline: '10s' },
      'leaseDuration: Invalid value: "5s": LeaseDuration must be greater than RenewDeadline',
    ],
    [{ retryPeriod: '0' }, 'retryPeriod: Invalid value: "0": must be greater than zero'],
    [
      { resourceLock: 'endpoints' },
      'resourceLock: Unsupported value: "endpoints": supported values: "leases"',
    ],
  ])('refuses a leader election with %j', (leaderElection, message) => {
    expect(mistakes({ leaderElection })).toContain(`leaderElection.${message}`);
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
