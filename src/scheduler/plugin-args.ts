import { duplicate, forbidden, invalid, required } from '../api/field-errors.ts';
import { qualifiedName } from '../api/names.ts';
import type { InterPodAffinityArgs } from './affinity-scores.ts';
import { CONFIG_API_VERSION } from './config.ts';
import type { ConfigReader } from './config-reader.ts';
import { checkNodeAffinity } from './node-affinity-args.ts';
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

const CPU_AND_MEMORY: readonly WeightedResource[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];

function fitResources(reader: ConfigReader): readonly WeightedResource[] {
  if (!reader.has('resources')) return CPU_AND_MEMORY;
  return reader.objects('resources').map((one) => {
    one.only('name', 'weight').require('name');
    const name = one.string('name');
    const hint = `resource weight of ${name} not in valid range (0, 100]`;
    return { name, weight: one.integer('weight', { fallback: 1, min: 1, max: 100, hint }) };
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
  if (!shape && strategy.has('requestedToCapacityRatio')) {
    const detail = 'must be nil when type is not RequestedToCapacityRatio';
    reader.errors.push(forbidden(strategy.at('requestedToCapacityRatio'), detail));
  }
  return {
    ignoredResources: labelNames(reader, 'ignoredResources'),
    ignoredResourceGroups: groupNames(reader),
    scoringStrategy: { type, resources: fitResources(strategy), ...(shape ? { shape } : {}) },
  };
}

function labelNames(reader: ConfigReader, field: string): string[] {
  const names = reader.strings(field);
  names.forEach((name, i) => {
    checkName(reader, `${reader.at(field)}[${i}]`, name);
  });
  return names;
}

function checkName(reader: ConfigReader, path: string, name: string): void {
  for (const problem of qualifiedName(name)) reader.errors.push(invalid(path, name, problem));
}

function groupNames(reader: ConfigReader): string[] {
  const field = 'ignoredResourceGroups';
  const groups = labelNames(reader, field);
  groups.forEach((group, i) => {
    if (!group.includes('/')) return;
    const detail = "resource group name can't contain '/'";
    reader.errors.push(invalid(`${reader.at(field)}[${i}]`, group, detail));
  });
  return groups;
}

function shapeOf(strategy: ConfigReader): RequestedToCapacityPoint[] {
  if (!strategy.has('requestedToCapacityRatio')) {
    const detail = 'must be specified when type is RequestedToCapacityRatio';
    strategy.errors.push(required(strategy.at('requestedToCapacityRatio'), detail));
    return [];
  }
  const ratio = strategy.object('requestedToCapacityRatio').only('shape');
  const points = ratio.objects('shape');
  if (points.length === 0) {
    ratio.errors.push(required(ratio.at('shape'), 'at least one point must be specified'));
  }
  let last = -1;
  return points.map((point) => {
    point.only('utilization', 'score');
    const percent = { fallback: 0, min: 0, max: 100, hint: 'not in valid range [0, 100]' };
    const score = { fallback: 0, min: 0, max: 10, hint: 'not in valid range [0, 10]' };
    const utilization = point.integer('utilization', percent);
    if (utilization <= last) {
      const hint = 'values must be sorted in increasing order';
      point.errors.push(invalid(point.at('utilization'), utilization, hint));
    }
    last = utilization;
    return { utilization, score: point.integer('score', score) };
  });
}

export function balancedArgs(reader: ConfigReader): BalancedAllocationArgs {
  checkType(reader, 'NodeResourcesBalancedAllocationArgs', 'resources');
  if (!reader.has('resources')) return { resources: CPU_AND_MEMORY };
  const seen = new Set<string>();
  const resources = reader.objects('resources').map((one) => {
    one.only('name', 'weight').require('name');
    const name = one.string('name');
    if (seen.has(name)) one.errors.push(duplicate(one.at('name'), name));
    seen.add(name);
    return {
      name,
      weight: one.integer('weight', { fallback: 1, min: 1, max: 1, hint: 'must be 1' }),
    };
  });
  return { resources };
}

export function affinityArgs(reader: ConfigReader): InterPodAffinityArgs {
  const own = ['hardPodAffinityWeight', 'ignorePreferredTermsOfExistingPods'];
  checkType(reader, 'InterPodAffinityArgs', ...own);
  return {
    hardPodAffinityWeight: reader.integer('hardPodAffinityWeight', {
      ...{ fallback: 1, min: 0, max: 100, hint: 'not in valid range [0, 100]' },
    }),
    ignorePreferredTermsOfExistingPods: reader.boolean('ignorePreferredTermsOfExistingPods', false),
  };
}

export function nodeAffinityArgs(reader: ConfigReader): NodeAffinityArgs {
  checkType(reader, 'NodeAffinityArgs', 'addedAffinity');
  if (!reader.has('addedAffinity')) return {};
  checkNodeAffinity(reader.object('addedAffinity'));
  return { addedAffinity: reader.raw('addedAffinity') as NodeAffinityRules };
}

export function spreadArgs(reader: ConfigReader): PodTopologySpreadArgs {
  checkType(reader, 'PodTopologySpreadArgs', 'defaultConstraints', 'defaultingType');
  const defaultingType = reader.choice('defaultingType', ['System', 'List'] as const, 'System');
  const seen = new Set<string>();
  const defaultConstraints = reader
    .objects('defaultConstraints')
    .map((one) => defaultConstraint(one, seen));
  if (defaultingType === 'System' && defaultConstraints.length > 0) {
    const hint = 'when .defaultConstraints are not empty';
    reader.errors.push(invalid(reader.at('defaultingType'), defaultingType, hint));
  }
  return { defaultConstraints, defaultingType };
}

function defaultConstraint(one: ConfigReader, seen: Set<string>): SpreadConstraint {
  one.only('maxSkew', 'topologyKey', 'whenUnsatisfiable', 'minDomains', 'labelSelector');
  if (one.has('labelSelector')) {
    const detail = 'constraint must not define a selector, as they deduced for each pod';
    one.errors.push(forbidden(one.at('labelSelector'), detail));
  }
  const topologyKey = one.string('topologyKey');
  for (const field of ['topologyKey', 'whenUnsatisfiable']) {
    if (one.string(field) === '') one.errors.push(required(one.at(field), 'can not be empty'));
  }
  if (topologyKey !== '') checkName(one, one.at('topologyKey'), topologyKey);
  const whenUnsatisfiable = one.has('whenUnsatisfiable')
    ? one.choice('whenUnsatisfiable', ['DoNotSchedule', 'ScheduleAnyway'], 'ScheduleAnyway')
    : 'ScheduleAnyway';
  const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
  if (seen.has(pair)) one.errors.push(duplicate(one.path, pair));
  seen.add(pair);
  const hint = 'not in valid range (0, inf)';
  const maxSkew = one.integer('maxSkew', { fallback: 0, min: 1, hint });
  if (!one.has('minDomains')) return { maxSkew, topologyKey, whenUnsatisfiable };
  const minDomains = one.integer('minDomains', { fallback: 1, min: 1, hint });
  return { maxSkew, topologyKey, whenUnsatisfiable, minDomains };
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
    const other = 'cannot be zero at the same time as';
    const [percentage, absolute] = ['minCandidateNodesPercentage', 'minCandidateNodesAbsolute'];
    reader.errors.push(
      invalid(reader.at(percentage), 0, `${other} ${absolute}`),
      invalid(reader.at(absolute), 0, `${other} ${percentage}`),
    );
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
  checkType(reader, 'DynamicResourcesArgs', 'bindingTimeout', 'filterTimeout');
  const bindingTimeoutMs = reader.duration('bindingTimeout', 600_000);
  if (bindingTimeoutMs < 1000) {
    const hint = 'must be at least 1 second';
    reader.errors.push(invalid(reader.at('bindingTimeout'), reader.raw('bindingTimeout'), hint));
  }
  return { bindingTimeoutMs, filterTimeoutMs: reader.duration('filterTimeout', 10_000) };
}

/** For plugins that take no args. */
export function noArgs(reader: ConfigReader): undefined {
  reader.only();
  return undefined;
}
