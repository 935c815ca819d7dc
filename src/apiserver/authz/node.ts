import type { PersistentVolume, Pod } from '../../api/types.ts';
import type { KindRegistry } from '../kind-registry.ts';
import { referencesOf } from '../pod-references.ts';
import type { RequestInfo } from '../request-info.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import type { WatchCache } from '../watch-cache.ts';
import type { Authorizer, Decision } from './authorizer.ts';
import { type PolicyRule, ruleAllows } from './policy-rule.ts';
import { asksOnlyFor } from './selectors.ts';

const NODE_USER = 'system:node:';
const NODES_GROUP = 'system:nodes';
const ALLOW: Decision = { decision: 'allow' };
const NO_OPINION: Decision = { decision: 'no-opinion' };

/** Objects that a node may read only when one of its Pods uses them. */
const BY_REFERENCE = new Set([
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'persistentvolumes',
]);

export interface NodeAuthorizerDeps {
  readonly state: State;
  readonly kinds: KindRegistry;
  /** What the role system:node holds. */
  readonly rules: readonly PolicyRule[];
}

/**
 * What kubelets may do (upstream's Node authorizer): what the role system:node says, but secrets, config maps, claims,
 * volumes and tokens only for the Pods that are bound to the node, and leases and CSINodes only their own.
 */
export async function nodeAuthorizer(deps: NodeAuthorizerDeps): Promise<Authorizer> {
  const references = new NodeReferences(await cacheOf(deps, 'pods'));
  const volumes = new VolumeReferences(await cacheOf(deps, 'persistentvolumes'), references);
  return {
    name: 'Node',
    authorize(user, info) {
      if (!user.groups.includes(NODES_GROUP) || !user.name.startsWith(NODE_USER)) return NO_OPINION;
      const node = user.name.slice(NODE_USER.length);
      if (!deps.rules.some((rule) => ruleAllows(rule, info))) return NO_OPINION;
      return isItsOwn({ references, volumes }, node, info) ? ALLOW : NO_OPINION;
    },
  };
}

interface References {
  references: NodeReferences;
  volumes: VolumeReferences;
}

function isItsOwn(of: References, node: string, info: RequestInfo): boolean {
  const name = info.name || (info.selectedName ?? '');
  if (info.group === '' && BY_REFERENCE.has(info.resource)) {
    return name !== '' && isUsed(of, node, { ...info, name });
  }
  if (info.group === '' && info.resource === 'pods') return isItsPod(of.references, node, info);
  if (info.group === '' && info.resource === 'nodes') return isItsNode(node, info);
  if (info.resource === 'serviceaccounts') {
    return of.references.uses(node, 'serviceaccounts', info.namespace, name);
  }
  if (info.resource === 'leases') {
    return info.namespace === 'kube-node-lease' && (info.verb === 'create' || name === node);
  }
  if (info.resource === 'csinodes') return info.verb === 'create' || name === node;
  return true;
}

/** A kubelet looks at the Pods that are bound to it, alone (KEP-4601). What it may write, admission says. */
function isItsPod(references: NodeReferences, node: string, info: RequestInfo): boolean {
  switch (info.verb) {
    case 'get':
      return references.runs(node, info.namespace, info.name);
    case 'list':
    case 'watch':
      return asksOnlyFor(info.fieldSelector, 'spec.nodeName', node);
    default:
      return true;
  }
}

/** It looks at itself. */
function isItsNode(node: string, info: RequestInfo): boolean {
  const reads = info.verb === 'get' || info.verb === 'list' || info.verb === 'watch';
  return !reads || (info.name || info.selectedName) === node;
}

function isUsed(
  { references, volumes }: References,
  node: string,
  { resource, namespace, name }: Pick<RequestInfo, 'resource' | 'namespace' | 'name'>,
): boolean {
  if (resource === 'persistentvolumes') return volumes.uses(node, name);
  if (references.uses(node, resource, namespace, name)) return true;
  return resource === 'secrets' && volumes.usesSecret(node, namespace, name);
}

async function cacheOf(
  { state, kinds }: NodeAuthorizerDeps,
  resource: string,
): Promise<WatchCache> {
  const kind = kinds.get('', 'v1', resource);
  if (!kind) throw new Error(`The kind ${resource} is not declared`);
  return state.cache(kind);
}

/** What the Pods of each node refer to, counted, kept true by the watch cache of the Pods. */
class NodeReferences {
  readonly #counts = new Map<string, number>();
  readonly #ofPod = new Map<string, readonly string[]>();
  readonly #nodeOf = new Map<string, string>();

  constructor(pods: WatchCache) {
    pods.addWatcher({
      scope: { namespace: '' },
      offer: ({ type, entry }) => {
        this.#forget(entry.key);
        if (type !== 'DELETED')
          this.#add(entry.key, parseObject(entry.served.bytes) as unknown as Pod);
      },
    });
    for (const { key, served } of pods.slice('')) {
      this.#add(key, parseObject(served.bytes) as unknown as Pod);
    }
  }

  uses(node: string, resource: string, namespace: string, name: string): boolean {
    return this.#counts.has(`${node}|${resource}|${namespace}/${name}`);
  }

  runs(node: string, namespace: string, name: string): boolean {
    return this.#nodeOf.get(`${namespace}/${name}`) === node;
  }

  #add(key: string, pod: Pod): void {
    const node = pod.spec?.nodeName;
    if (!node) return;
    const { namespace } = pod.metadata;
    this.#nodeOf.set(key, node);
    const used = [...referencesOf(pod)].map(
      ([resource, name]) => `${node}|${resource}|${namespace}/${name}`,
    );
    this.#ofPod.set(key, used);
    for (const reference of used) {
      this.#counts.set(reference, (this.#counts.get(reference) ?? 0) + 1);
    }
  }

  #forget(key: string): void {
    for (const reference of this.#ofPod.get(key) ?? []) {
      const left = (this.#counts.get(reference) ?? 1) - 1;
      if (left === 0) this.#counts.delete(reference);
      else this.#counts.set(reference, left);
    }
    this.#ofPod.delete(key);
    this.#nodeOf.delete(key);
  }
}

/** Which volumes a node has through the claims of its Pods, and the secrets that mounting them takes. */
class VolumeReferences {
  readonly #pods: NodeReferences;
  readonly #volumes = new Map<string, PersistentVolume>();

  constructor(volumes: WatchCache, pods: NodeReferences) {
    this.#pods = pods;
    volumes.addWatcher({
      scope: { namespace: '' },
      offer: ({ type, entry }) => {
        if (type === 'DELETED') this.#volumes.delete(nameOf(entry.key));
        else this.#set(entry.key, entry.served.bytes);
      },
    });
    for (const { key, served } of volumes.slice('')) this.#set(key, served.bytes);
  }

  uses(node: string, name: string): boolean {
    const claim = this.#volumes.get(name)?.spec?.claimRef;
    const { namespace = '', name: claimName = '' } = claim ?? {};
    return this.#pods.uses(node, 'persistentvolumeclaims', namespace, claimName);
  }

  usesSecret(node: string, namespace: string, name: string): boolean {
    for (const { metadata, spec } of this.#volumes.values()) {
      const { nodeStageSecretRef, nodePublishSecretRef } = spec?.csi ?? {};
      const named = [nodeStageSecretRef, nodePublishSecretRef].some(
        (ref) => ref?.name === name && ref.namespace === namespace,
      );
      if (named && this.uses(node, metadata.name)) return true;
    }
    return false;
  }

  #set(key: string, bytes: Buffer): void {
    this.#volumes.set(nameOf(key), parseObject(bytes) as unknown as PersistentVolume);
  }
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
