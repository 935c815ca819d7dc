import type { Container, Pod, Volume } from '../../api/types.ts';
import { fieldValue, type PodFacts, resourceValue } from '../downward.ts';
import type { ConfigReader } from '../environment.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { ProjectedFile } from './atomic-writer.ts';
import { type TrustReader, trustAnchors } from './trust-anchors.ts';

export interface ProjectionDeps {
  config: ConfigReader & TrustReader;
  allocatable(): Readonly<Record<string, string>>;
  /** A service account token for the pod, fresh enough to be used. */
  token(pod: Pod, source: TokenSource): Promise<string>;
}

export interface TokenSource {
  audience?: string | undefined;
  expirationSeconds?: number | undefined;
  path: string;
}

interface KeyToPath {
  key: string;
  path: string;
  mode?: number | undefined;
}

type Files = Map<string, ProjectedFile>;
const DEFAULT_MODE = 0o644;

/** The files of a configMap, secret, downwardAPI or projected volume; undefined for other volumes. */
export async function projectedFiles(
  pod: Pod,
  volume: Volume,
  facts: PodFacts,
  deps: ProjectionDeps,
): Promise<Files | undefined> {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) {
    return objectFiles(pod, { ...configMap, kind: 'configmap' }, configMap.defaultMode, deps);
  }
  if (secret) {
    const source = { ...secret, name: secret.secretName, kind: 'secret' as const };
    return objectFiles(pod, source, secret.defaultMode, deps);
  }
  if (downwardAPI) {
    return downwardFiles(pod, downwardAPI, { mode: downwardAPI.defaultMode, facts, deps });
  }
  if (!projected) return undefined;
  const files: Files = new Map();
  for (const source of projected.sources ?? []) {
    const part = await sourceFiles(pod, source, { mode: projected.defaultMode, facts, deps });
    for (const [path, file] of part) files.set(path, file);
  }
  return files;
}

type Source = NonNullable<NonNullable<Volume['projected']>['sources']>[number];

interface Given {
  mode: number | undefined;
  facts: PodFacts;
  deps: ProjectionDeps;
}

async function sourceFiles(pod: Pod, source: Source, given: Given): Promise<Files> {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle } = source;
  if (configMap)
    return objectFiles(pod, { ...configMap, kind: 'configmap' }, given.mode, given.deps);
  if (secret) return objectFiles(pod, { ...secret, kind: 'secret' }, given.mode, given.deps);
  if (downwardAPI) return downwardFiles(pod, downwardAPI, given);
  if (serviceAccountToken) {
    const token = await given.deps.token(pod, serviceAccountToken);
    return new Map([[serviceAccountToken.path, tokenFile(pod, token, given.mode)]]);
  }
  if (clusterTrustBundle) {
    const data = Buffer.from(await trustAnchors(pod, clusterTrustBundle, given.deps.config));
    return new Map([[clusterTrustBundle.path, { data, mode: given.mode ?? DEFAULT_MODE }]]);
  }
  const kind = Object.keys(source).join(', ');
  throw new Error(`projected sources of type ${kind} are not supported on this node`);
}

/** A token is for the pod's user, where that user is known, and its fsGroup (KEP-2451). */
function tokenFile(pod: Pod, token: string, mode: number | undefined): ProjectedFile {
  const data = Buffer.from(token);
  const uid = commonUser(pod);
  const owner = uid === undefined ? {} : { uid };
  if (pod.spec?.securityContext?.fsGroup !== undefined) return { data, mode: 0o640, ...owner };
  return { data, mode: uid === undefined ? (mode ?? DEFAULT_MODE) : 0o600, ...owner };
}

/** The one user as which every container of the pod runs, if there is one. */
function commonUser(pod: Pod): number | undefined {
  const users = new Set(
    [...initContainersOf(pod), ...containersOf(pod)].map(
      (c) => c.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser,
    ),
  );
  return users.size === 1 ? [...users][0] : undefined;
}

interface ObjectSource {
  kind: 'configmap' | 'secret';
  name?: string | undefined;
  items?: KeyToPath[] | undefined;
  optional?: boolean | undefined;
}

async function objectFiles(
  pod: Pod,
  { kind, name = '', items, optional }: ObjectSource,
  mode: number | undefined,
  { config }: ProjectionDeps,
): Promise<Files> {
  const data =
    kind === 'configmap'
      ? await config.configMapData(pod, name)
      : await config.secretData(pod, name);
  if (!data && !optional) {
    throw new Error(`${kind} "${name}" not found`);
  }
  const all = [...(data?.keys() ?? [])].map((key): KeyToPath => ({ key, path: key }));
  const files: Files = new Map();
  for (const item of items?.length ? items : all) {
    const bytes = data?.get(item.key);
    if (bytes) {
      files.set(item.path, { data: bytes, mode: item.mode ?? mode ?? DEFAULT_MODE });
    } else if (!optional) {
      const what = kind === 'secret' ? 'secret' : 'config';
      throw new Error(`references non-existent ${what} key: ${item.key}`);
    }
  }
  return files;
}

interface DownwardItem {
  path: string;
  mode?: number | undefined;
  fieldRef?: { fieldPath: string } | undefined;
  resourceFieldRef?:
    | { resource: string; containerName?: string | undefined; divisor?: string | undefined }
    | undefined;
}

interface DownwardSource {
  items?: DownwardItem[] | undefined;
}

function downwardFiles(
  pod: Pod,
  { items = [] }: DownwardSource,
  { mode, facts, deps }: Given,
): Files {
  const files: Files = new Map();
  for (const { path, fieldRef, resourceFieldRef, mode: own } of items) {
    const text = fieldRef
      ? fieldValue(pod, fieldRef.fieldPath, facts)
      : resourceFieldRef
        ? resourceText(pod, resourceFieldRef, deps)
        : '';
    files.set(path, { data: Buffer.from(text), mode: own ?? mode ?? DEFAULT_MODE });
  }
  return files;
}

function resourceText(
  pod: Pod,
  ref: { resource: string; containerName?: string | undefined; divisor?: string | undefined },
  deps: ProjectionDeps,
): string {
  const containers: Container[] = [...initContainersOf(pod), ...containersOf(pod)];
  const container = containers.find((c) => c.name === ref.containerName);
  if (!container) throw new Error(`container ${ref.containerName} not found`);
  return resourceValue(container, ref, deps.allocatable());
}
