import type { Client } from '../client/client.ts';
import type { Plugin } from './framework.ts';
import { defaultBinder } from './plugins/default-binder.ts';
import { nodeAffinity } from './plugins/node-affinity.ts';
import { nodeName } from './plugins/node-name.ts';
import { nodePorts } from './plugins/node-ports.ts';
import {
  DEFAULT_BALANCED_ARGS,
  nodeResourcesBalancedAllocation,
} from './plugins/node-resources-balanced-allocation.ts';
import { DEFAULT_FIT_ARGS, nodeResourcesFit } from './plugins/node-resources-fit.ts';
import { nodeUnschedulable } from './plugins/node-unschedulable.ts';
import { prioritySort } from './plugins/priority-sort.ts';
import { schedulingGates } from './plugins/scheduling-gates.ts';
import { taintToleration } from './plugins/taint-toleration.ts';

/** What plugins may be built from. */
export interface PluginDeps {
  readonly client: Client;
}

export interface DefaultPlugin {
  readonly plugin: Plugin;
  /** Of its scores; 0 when it gives none. */
  readonly weight: number;
}

/** The plugins that are on by default, in upstream's order and with its weights. */
export function defaultPlugins(deps: PluginDeps): DefaultPlugin[] {
  return [
    { plugin: schedulingGates, weight: 0 },
    { plugin: prioritySort, weight: 0 },
    { plugin: nodeUnschedulable, weight: 0 },
    { plugin: nodeName, weight: 0 },
    { plugin: taintToleration, weight: 3 },
    { plugin: nodeAffinity(), weight: 2 },
    { plugin: nodePorts, weight: 0 },
    { plugin: nodeResourcesFit(DEFAULT_FIT_ARGS), weight: 1 },
    { plugin: nodeResourcesBalancedAllocation(DEFAULT_BALANCED_ARGS), weight: 1 },
    { plugin: defaultBinder(deps), weight: 0 },
  ];
}
