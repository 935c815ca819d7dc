import { invalid } from '../api/field-errors.ts';
import type { InterPodAffinityArgs } from './affinity-scores.ts';
import { CONFIG_API_VERSION } from './config.ts';
import type { ConfigReader } from './config-reader.ts';
import type { NodeAffinityRules, SpreadConstraint } from './parts.ts';
import type { DefaultPreemptionArgs } from './plugins/default-preemption.ts';
import type { DynamicResourcesArgs } from './plugins/dynamic-resources.ts';
import type { NodeAffinityArgs } from './plugins/node-affinity.ts';
import type { BalancedAllocationArgs } from './plugins/node-resources-balanced-allocation.ts';
import type { NodeResourcesFitArgs } from './plugins/node-resources-fit.ts';
import type { PodTopologySpreadArgs } from './plugins/pod-topology-spread.ts';
import type { VolumeBindingArgs } from './plugins/volume-binding.ts';
import type { RequestedToCapacityPoint, WeightedResource } from './resource-scores.ts';

/** What every args object may have besides its own fields. */
function checkType(reader: ConfigReader, kind: string, ...fields: string[]): void {
  reader.only('apiVersion', 'kind', ...fields);
  reader.choice('apiVersion', [CONFIG_API_VERSION], CONFIG_API_VERSION);
  reader.choice('kind', [kind], kind as string);
}

const WEIGHT_HINT = 'resource weight should be a positive value, less than or equal to 100';

function resources(reader: ConfigReader): WeightedResource[] {
  if (!reader.has('resources')) {
    return [
      { name: 'cpu', weight: 1 },
      { name: 'memory', weight: 1 },
    ];
  }
  return reader.objects('resources').map((one) => {
    one.only('name', 'weight').require('name');
    const weight = one.integer('weight', { fallback: 1, min: 1, max: 100, hint: WEIGHT_HINT });
    return { name: one.string('name'), weight };
  });
}

export function fitArgs(reader: ConfigReader): NodeResourcesFitArgs {
  const own = ['ignoredResources', 'ignoredResourceGroups', 'scoringStrategy'];
  checkType(reader, 'NodeResourcesFitArgs', ...own);
  const strategy = reader.object('scoringStrategy');
  strategy.only('type', 'resources', 'requestedToCapacityRatio');
  const types = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'] as const;
  const type = strategy.choice('type', types, 'LeastAllocated');
  const shape = type === 'RequestedToCapacityRatio' ? shapeOf(strategy) : undefined;
  return {
    ignoredResources: reader.strings('ignoredResources'),
    ignoredResourceGroups: reader.strings('ignoredResourceGroups'),
    scoringStrategy: { type, resources: resources(strategy), ...(shape ? { shape } : {}) },
  };
}

function shapeOf(strategy: ConfigReader): RequestedToCapacityPoint[] {
  const ratio = strategy.object('requestedToCapacityRatio').only('shape');
  ratio.require('shape');
  let last = -1;
  return ratio.objects('shape').map((point) => {
    point.only('utilization', 'score');
    const percent = { fallback: 0, min: 0, max: 100, hint: 'not in valid range [0-100]' };
    const score = { fallback: 0, min: 0, max: 10, hint: 'not in valid range [0-10]' };
    const utilization = point.integer('utilization', percent);
    if (utilization <= last) {
      const hint = 'utilization values must be sorted in increasing order';
      point.errors.push(invalid(point.at('utilization'), utilization, hint));
    }
    last = utilization;
    return { utilization, score: point.integer('score', score) };
  });
}

export function balancedArgs(reader: ConfigReader): BalancedAllocationArgs {
  checkType(reader, 'NodeResourcesBalancedAllocationArgs', 'resources');
  return { resources: resources(reader) };
}

export function affinityArgs(reader: ConfigReader): InterPodAffinityArgs {
  const own = ['hardPodAffinityWeight', 'ignorePreferredTermsOfExistingPods'];
  checkType(reader, 'InterPodAffinityArgs', ...own);
  return {
    hardPodAffinityWeight: reader.integer('hardPodAffinityWeight', {
      ...{ fallback: 1, min: 0, max: 100, hint: 'not in valid range [0-100]' },
    }),
    ignorePreferredTermsOfExistingPods: reader.boolean('ignorePreferredTermsOfExistingPods', false),
  };
}

export function nodeAffinityArgs(reader: ConfigReader): NodeAffinityArgs {
  checkType(reader, 'NodeAffinityArgs', 'addedAffinity');
  if (!reader.has('addedAffinity')) return {};
  reader
    .object('addedAffinity')
    .only(
      'requiredDuringSchedulingIgnoredDuringExecution',
      'preferredDuringSchedulingIgnoredDuringExecution',
    );
  return { addedAffinity: reader.raw('addedAffinity') as NodeAffinityRules };
}

export function spreadArgs(reader: ConfigReader): PodTopologySpreadArgs {
  checkType(reader, 'PodTopologySpreadArgs', 'defaultConstraints', 'defaultingType');
  const defaultingType = reader.choice('defaultingType', ['System', 'List'] as const, 'System');
  const defaultConstraints = reader.objects('defaultConstraints').map(defaultConstraint);
  if (defaultingType === 'System' && defaultConstraints.length > 0) {
    const hint = 'when .defaultingType is "System", .defaultConstraints must be empty';
    reader.errors.push(invalid(reader.at('defaultingType'), defaultingType, hint));
  }
  return { defaultConstraints, defaultingType };
}

function defaultConstraint(one: ConfigReader): SpreadConstraint {
  one.only('maxSkew', 'topologyKey', 'whenUnsatisfiable', 'minDomains').require('topologyKey');
  if (one.has('labelSelector')) one.errors.push(invalid(one.at('labelSelector'), '', 'forbidden'));
  const hint = 'must be greater than zero';
  return {
    maxSkew: one.integer('maxSkew', { fallback: 1, min: 1, hint }),
    topologyKey: one.string('topologyKey'),
    whenUnsatisfiable: one.choice(
      'whenUnsatisfiable',
      ['DoNotSchedule', 'ScheduleAnyway'],
      'ScheduleAnyway',
    ),
  };
}

export function preemptionArgs(reader: ConfigReader): DefaultPreemptionArgs {
  const own = ['minCandidateNodesPercentage', 'minCandidateNodesAbsolute'];
  checkType(reader, 'DefaultPreemptionArgs', ...own);
  const args = {
    minCandidateNodesPercentage: reader.integer('minCandidateNodesPercentage', {
      ...{ fallback: 10, min: 0, max: 100, hint: 'not in valid range [0, 100]' },
    }),
    minCandidateNodesAbsolute: reader.integer('minCandidateNodesAbsolute', {
      ...{ fallback: 100, min: 0, hint: 'not in valid range [0, inf)' },
    }),
  };
  if (args.minCandidateNodesPercentage === 0 && args.minCandidateNodesAbsolute === 0) {
    const hint = 'cannot be zero at the same time as minCandidateNodesPercentage';
    reader.errors.push(invalid(reader.at('minCandidateNodesAbsolute'), 0, hint));
  }
  return args;
}

export function volumeBindingArgs(reader: ConfigReader): VolumeBindingArgs {
  checkType(reader, 'VolumeBindingArgs', 'bindTimeoutSeconds');
  const hint = 'invalid BindTimeoutSeconds, should not be a negative value';
  const seconds = reader.integer('bindTimeoutSeconds', { fallback: 600, min: 0, hint });
  return { bindTimeoutMs: seconds * 1000 };
}

export function dynamicResourcesArgs(reader: ConfigReader): DynamicResourcesArgs {
  checkType(reader, 'DynamicResourcesArgs', 'bindingTimeout');
  const bindingTimeoutMs = reader.duration('bindingTimeout', 600_000);
  if (bindingTimeoutMs < 1000) {
    const hint = 'must be at least 1 second';
    reader.errors.push(invalid(reader.at('bindingTimeout'), reader.raw('bindingTimeout'), hint));
  }
  return { bindingTimeoutMs };
}

/** For plugins that take no args. */
export function noArgs(reader: ConfigReader): undefined {
  reader.only();
  return undefined;
}
