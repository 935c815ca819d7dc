import { createHash } from 'node:crypto';
import { builtinSchema } from '../api/builtin-schema.ts';
import { decodeObject } from '../api/decode.ts';
import { dns1123Subdomain } from '../api/names.ts';
import { defaultPod } from '../api/pod-defaults.ts';
import type { Container, Draft, Node, Pod, Volume } from '../api/types.ts';
import { parseYaml } from '../api/yaml.ts';
import { isObject } from '../util/json.ts';
import {
  allContainersOf,
  CONFIG_HASH_ANNOTATION,
  CONFIG_MIRROR_ANNOTATION,
  CONFIG_SEEN_ANNOTATION,
  CONFIG_SOURCE_ANNOTATION,
} from './names.ts';

/** Where a static pod comes from. */
export interface StaticSource {
  readonly file: string;
  readonly nodeName: string;
  /** When the file was first seen; RFC 3339. */
  readonly seen: string;
}

/**
 * The pod that a manifest describes, as this node runs it: defaulted, named after the node, with a uid that stays
 * the same as long as the manifest does. Throws with every reason why it cannot be one.
 * https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
export async function parseStaticPod(text: string, source: StaticSource): Promise<Pod> {
  const { file, nodeName, seen } = source;
  const document = await parseYaml(text);
  if (!isObject(document) || document.kind !== 'Pod' || document.apiVersion !== 'v1') {
    throw new Error('the manifest is no Pod of apiVersion v1');
  }
  const { object, unknown } = decodeObject(document, {
    schema: builtinSchema(),
    definition: 'io.k8s.api.core.v1.Pod',
  });
  if (unknown.length > 0) throw new Error(unknown.join(', '));
  const pod = object as unknown as Pod;
  const uid =
    pod.metadata.uid ||
    createHash('sha256')
      .update(JSON.stringify([nodeName, file, object]))
      .digest('hex')
      .slice(0, 32);
  pod.metadata = {
    ...pod.metadata,
    uid,
    name: `${pod.metadata.name ?? ''}-${nodeName}`,
    namespace: pod.metadata.namespace || 'default',
    creationTimestamp: seen,
    annotations: {
      ...pod.metadata.annotations,
      [CONFIG_HASH_ANNOTATION]: uid,
      [CONFIG_SEEN_ANNOTATION]: seen,
      [CONFIG_SOURCE_ANNOTATION]: 'file',
    },
  };
  const problems = problemsOf(pod);
  if (problems.length > 0) throw new Error(problems.join(', '));
  defaultPod(pod);
  if (pod.spec) {
    pod.spec.nodeName = nodeName;
    // Nothing on the node may drive out what the node itself has asked for.
    pod.spec.tolerations = [
      ...(pod.spec.tolerations ?? []),
      { operator: 'Exists', effect: 'NoExecute' },
    ];
  }
  pod.status = { phase: 'Pending' };
  return pod;
}

/** Why the pod cannot be run from a file: its shape, or a wish for something that only the API server has. */
function problemsOf(pod: Pod): string[] {
  const spec = pod.spec;
  if (!spec?.containers?.length) return ['spec.containers: Required value'];
  const problems = dns1123Subdomain(pod.metadata.name).map((why) => `metadata.name: ${why}`);
  const names = allContainersOf(pod).map((c) => c.name);
  for (const container of allContainersOf(pod)) {
    if (!container.name) problems.push('a container has no name');
    if (!container.image) problems.push(`container ${container.name}: image: Required value`);
  }
  if (new Set(names).size < names.length) problems.push('two containers have the same name');
  const wishes = apiReferences(pod);
  if (wishes.length > 0) problems.push(`static pods may not reference ${wishes.join(', ')}`);
  return problems;
}

const VOLUMES_OF_THE_API = [
  'configMap',
  'secret',
  'persistentVolumeClaim',
  'ephemeral',
  'csi',
] as const;

/** API objects that the pod asks for; a static pod must run while no API server does. */
function apiReferences({ spec }: Pod): string[] {
  const volumes = spec?.volumes ?? [];
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const wishes: [string, boolean][] = [
    ['service accounts', Boolean(spec?.serviceAccountName)],
    ['ephemeral containers', Boolean(spec?.ephemeralContainers?.length)],
    ['resource claims', Boolean(spec?.resourceClaims?.length)],
    ...VOLUMES_OF_THE_API.map((source): [string, boolean] => [
      `${source} volumes`,
      volumes.some((volume) => volume[source] !== undefined),
    ]),
    ['API objects in projected volumes', volumes.some(projectsObjects)],
    ['config maps or secrets as variables', containers.some(readsObjects)],
  ];
  return wishes.filter(([, asked]) => asked).map(([what]) => what);
}

function projectsObjects({ projected }: Volume): boolean {
  return (projected?.sources ?? []).some(
    (s) => s.configMap || s.secret || s.serviceAccountToken || s.clusterTrustBundle,
  );
}

function readsObjects({ env = [], envFrom = [] }: Container): boolean {
  return (
    envFrom.some((e) => e.configMapRef || e.secretRef) ||
    env.some((e) => e.valueFrom?.configMapKeyRef || e.valueFrom?.secretKeyRef)
  );
}

/** The object that shows a static pod in the API. */
export function mirrorOf(pod: Pod, node: Node): Draft<Pod> {
  const { name, namespace, labels, annotations } = pod.metadata;
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.metadata.name, controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, [CONFIG_MIRROR_ANNOTATION]: configHash(pod) },
      ownerReferences: [{ ...owner, uid: node.metadata.uid }],
    },
    ...(pod.spec ? { spec: pod.spec } : {}),
  };
}

/** Whether a mirror shows this version of the static pod. */
export function mirrors(mirror: Pod, pod: Pod): boolean {
  return mirror.metadata.annotations?.[CONFIG_MIRROR_ANNOTATION] === configHash(pod);
}

const configHash = (pod: Pod): string => pod.metadata.annotations?.[CONFIG_HASH_ANNOTATION] ?? '';
