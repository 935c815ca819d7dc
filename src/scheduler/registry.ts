import type { PodDisruptionBudget } from '../api/types.ts';
import type { Client, Lister } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { NamespaceLabels } from './affinity-terms.ts';
import type { ConfigReader } from './config-reader.ts';
import type { DeviceView } from './devices/device-view.ts';
import type { Evictor } from './evictor.ts';
import type { Extender } from './extender.ts';
import type { Plugin } from './framework.ts';
import type { SchedulerMetrics } from './metrics.ts';
import * as readArgs from './plugin-args.ts';
import { defaultBinder } from './plugins/default-binder.ts';
import { defaultPreemption } from './plugins/default-preemption.ts';
import { dynamicResources } from './plugins/dynamic-resources.ts';
import { imageLocality } from './plugins/image-locality.ts';
import { interPodAffinity } from './plugins/inter-pod-affinity.ts';
import { nodeAffinity } from './plugins/node-affinity.ts';
import { nodeName } from './plugins/node-name.ts';
import { nodePorts } from './plugins/node-ports.ts';
import { nodeResourcesBalancedAllocation } from './plugins/node-resources-balanced-allocation.ts';
import { nodeResourcesFit } from './plugins/node-resources-fit.ts';
import { nodeUnschedulable } from './plugins/node-unschedulable.ts';
import { nodeVolumeLimits } from './plugins/node-volume-limits.ts';
import { podTopologySpread } from './plugins/pod-topology-spread.ts';
import { prioritySort } from './plugins/priority-sort.ts';
import { schedulingGates } from './plugins/scheduling-gates.ts';
import { taintToleration } from './plugins/taint-toleration.ts';
import { volumeBinding } from './plugins/volume-binding.ts';
import { volumeRestrictions } from './plugins/volume-restrictions.ts';
import { volumeZone } from './plugins/volume-zone.ts';
import { type SiblingListers, siblingSelector } from './siblings.ts';
import type { Snapshot } from './snapshot.ts';
import type { StorageListers } from './volume-claims.ts';
import type { WaitingPods } from './waiting-pods.ts';

/** What plugins may be built from. */
export interface PluginDeps {
  readonly client: Client;
  readonly snapshot: () => Snapshot;
  readonly namespaceLabels: NamespaceLabels;
  readonly siblings: SiblingListers;
  readonly storage: StorageListers;
  readonly devices: DeviceView;
  readonly clock: Clock;
  readonly budgets: Lister<PodDisruptionBudget>;
  readonly extenders: readonly Extender[];
  /** Resources that an extender looks after alone. */
  readonly ignoredResources: readonly string[];
  readonly evictor: Evictor;
  /** Where a Permit plugin says that a Pod may go on, or may not. */
  readonly waitingPods: WaitingPods;
  readonly metrics: SchedulerMetrics;
  readonly random: () => number;
}

/** How a plugin is made for one profile. */
export interface PluginFactory {
  /** Of its scores where the configuration names none; 0: it gives none. */
  readonly weight: number;
  readonly create: (deps: PluginDeps, args: ConfigReader) => Plugin;
}

function plain(plugin: Plugin, weight = 0): PluginFactory {
  return {
    weight,
    create(_deps, args) {
      readArgs.noArgs(args);
      return plugin;
    },
  };
}

function built(
  weight: number,
  create: (deps: PluginDeps, args: ConfigReader) => Plugin,
): PluginFactory {
  return { weight, create };
}

function withDeps(weight: number, create: (deps: PluginDeps) => Plugin): PluginFactory {
  return built(weight, (deps, args) => {
    readArgs.noArgs(args);
    return create(deps);
  });
}

/** Every plugin by name; all are on by default, in this order and with these weights (upstream's). */
export const PLUGINS: Readonly<Record<string, PluginFactory>> = {
  SchedulingGates: plain(schedulingGates),
  PrioritySort: plain(prioritySort),
  NodeUnschedulable: plain(nodeUnschedulable),
  NodeName: plain(nodeName),
  TaintToleration: plain(taintToleration, 3),
  NodeAffinity: built(2, (_deps, args) => nodeAffinity(readArgs.nodeAffinityArgs(args))),
  NodePorts: plain(nodePorts),
  NodeResourcesFit: built(1, (deps, reader) => {
    const args = readArgs.fitArgs(reader);
    const ignoredResources = [...args.ignoredResources, ...deps.ignoredResources];
    const hasClass = (resource: string) => deps.devices.names.classOf(resource) !== undefined;
    return nodeResourcesFit({ ...args, ignoredResources }, hasClass);
  }),
  VolumeRestrictions: withDeps(0, volumeRestrictions),
  NodeVolumeLimits: withDeps(0, nodeVolumeLimits),
  VolumeBinding: built(0, (deps, args) => volumeBinding(deps, readArgs.volumeBindingArgs(args))),
  VolumeZone: withDeps(0, volumeZone),
  PodTopologySpread: built(2, (deps, args) =>
    podTopologySpread(
      { snapshot: deps.snapshot, siblings: (pod) => siblingSelector(deps.siblings, pod) },
      readArgs.spreadArgs(args),
    ),
  ),
  InterPodAffinity: built(2, (deps, args) => interPodAffinity(deps, readArgs.affinityArgs(args))),
  DynamicResources: built(0, (deps, args) =>
    dynamicResources(deps, readArgs.dynamicResourcesArgs(args)),
  ),
  DefaultPreemption: built(0, (deps, args) =>
    defaultPreemption(deps, readArgs.preemptionArgs(args)),
  ),
  NodeResourcesBalancedAllocation: built(1, (_deps, args) =>
    nodeResourcesBalancedAllocation(readArgs.balancedArgs(args)),
  ),
  ImageLocality: withDeps(1, imageLocality),
  DefaultBinder: withDeps(0, defaultBinder),
};
