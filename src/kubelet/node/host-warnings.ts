import { readFile } from 'node:fs/promises';
import type { EventRecorder } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import type { KubeletConfiguration } from '../config.ts';
import { parseResolvConf, SEARCH_LIMITS } from '../dns.ts';

export interface HostWarning {
  /** Of the event. */
  readonly reason: string;
  readonly message: string;
}

const CGROUP_V1 =
  'cgroup v1 detected. cgroup v1 support is deprecated and will be removed in a future release. Please migrate to cgroup v2. More information at https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1';

/** Tells in the node's events what of the machine will not do. */
export async function tellHostWarnings(given: {
  readonly recorder: EventRecorder;
  readonly cgroups: { readonly version: 1 | 2 };
  readonly config: KubeletConfiguration;
  readonly nodeName: string;
}): Promise<void> {
  const { recorder, cgroups, config, nodeName: name } = given;
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  const searches = await searchProblem(config);
  const warnings: HostWarning[] = [
    ...(cgroups.version === 1 ? [{ reason: 'CgroupV1', message: CGROUP_V1 }] : []),
    ...(searches ? [{ reason: 'CheckLimitsForResolvConf', message: searches }] : []),
  ];
  for (const { reason, message } of warnings) recorder.event(node, 'Warning', reason, message);
}

const SWAPPABLE =
  'The tmpfs noswap option is not supported. Memory-backed volumes (e.g. secrets, emptyDirs, etc.) might be swapped to disk and should no longer be considered secure.';

/** Tells that the kernel may write to the swap what volumes keep in memory. */
export function tellSwappable(recorder: EventRecorder, name: string): void {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  recorder.event(node, 'Warning', 'PossibleMemoryBackedVolumesOnDisk', SWAPPABLE);
}

type ResolverSettings = Pick<KubeletConfiguration, 'resolvConf' | 'clusterDomain'>;

/** What the node's resolver searches besides the cluster has to find room in a Pod's list. */
export async function searchProblem(settings: ResolverSettings): Promise<string | undefined> {
  const { resolvConf: path, clusterDomain } = settings;
  if (path === '') return undefined;
  try {
    const { searches } = parseResolvConf(await readFile(path, 'utf8'));
    return limitExceeded(searches, path, clusterDomain);
  } catch (err) {
    return errorMessage(err);
  }
}

function limitExceeded(searches: string[], path: string, clusterDomain: string) {
  const { paths, pathLength, length } = SEARCH_LIMITS;
  const left = clusterDomain === '' ? paths : paths - CLUSTER_SEARCHES;
  if (searches.length > left) {
    return `Resolv.conf file '${path}' contains search line consisting of more than ${left} domains!`;
  }
  if (searches.some((search) => search.length > pathLength)) {
    return `Resolv.conf file ${JSON.stringify(path)} contains a search path which length is more than allowed ${pathLength} chars!`;
  }
  if (searches.join(' ').length > length) {
    return `Resolv.conf file '${path}' contains search line which length is more than allowed ${length} chars!`;
  }
  return undefined;
}

// The namespace's, the Services' and the cluster's own.
const CLUSTER_SEARCHES = 3;
