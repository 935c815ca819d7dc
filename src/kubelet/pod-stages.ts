import { join } from 'node:path';
import { isNotFound } from '../api/errors.ts';
import { SECRETS } from '../api/resource-types.ts';
import { RUNTIME_CLASSES } from '../api/system-resource-types.ts';
import type { Pod, Service } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { Admission } from './admission.ts';
import type { ClaimManager } from './claims/claim-manager.ts';
import type { ConfigObjects } from './config-objects.ts';
import { ContainerKiller } from './container-killer.ts';
import { ContainerStarter } from './container-starter.ts';
import { CsiDrivers } from './csi/csi-drivers.ts';
import { CsiVolumes } from './csi/csi-volumes.ts';
import type { DeviceManager } from './devices/device-manager.ts';
import type { DnsConfig } from './dns.ts';
import { Images } from './images.ts';
import type { KubeletDeps, KubeletOptions } from './kubelet-deps.ts';
import { podKey } from './names.ts';
import { tellSwappable } from './node/host-warnings.ts';
import type { NodeReporter } from './node/node-reporter.ts';
import type { Pleg } from './pleg.ts';
import type { PodDirs } from './pod-dirs.ts';
import type { PodGroups } from './pod-groups.ts';
import { PodLifecycle } from './pod-lifecycle.ts';
import type { Failure, PodState } from './pod-state.ts';
import { PodSync } from './pod-sync.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import { entriesOfSecret, type PullSecret } from './pull-credentials.ts';
import type { PullRecords } from './pull-records.ts';
import type { Allocations } from './resize/allocations.ts';
import { Resizer } from './resize/resizer.ts';
import type { NodeMemory } from './resources.ts';
import type { VolumeStats } from './stats/summary.ts';
import type { StatusManager } from './status-manager.ts';
import { UserNamespaces } from './user-namespaces.ts';
import { ImageVolumes } from './volumes/image-volumes.ts';
import { MemoryMounts } from './volumes/memory-mounts.ts';
import { PersistentVolumes } from './volumes/persistent-volumes.ts';
import type { ServiceAccountTokens } from './volumes/service-account-tokens.ts';
import { SubPaths } from './volumes/sub-paths.ts';
import { VolumeExpansion } from './volumes/volume-expansion.ts';
import { VolumeManager } from './volumes/volume-manager.ts';
import { outsideVolumeStats } from './volumes/volume-usage.ts';

export interface PodStagesDeps extends KubeletDeps {
  pleg: Pleg;
  dirs: PodDirs;
  status: StatusManager;
  groups: PodGroups;
  probes: ProbeManager;
  allocations: Allocations;
  configObjects: ConfigObjects;
  devices: DeviceManager;
  claims: ClaimManager;
  pullRecords: PullRecords;
  tokens: ServiceAccountTokens;
  services(): readonly Service[];
  node: NodeReporter;
  networkProblem(): string | undefined;
  /** The node's own resolver configuration. */
  resolver(): Promise<DnsConfig | undefined>;
  /** Why the node, short of something, takes no such pod now. */
  pressure(pod: Pod): Failure | undefined;
  /** The other pods that hold resources of the node. */
  others(uid: string): readonly Pod[];
  isEnding(uid: string): boolean;
  fail(uid: string, failure: Failure): void;
  wake(uid: string): void;
}

/** Wires what works on one pod: admission, volumes, images, containers, status. */
export function createPodStages(
  deps: PodStagesDeps,
  options: KubeletOptions,
): {
  stages: PodLifecycle;
  volumes: VolumeManager;
  drivers: CsiDrivers;
  csi: CsiVolumes;
  expansion: VolumeExpansion;
  outsideVolumes(pod: Pod, time: string): Promise<VolumeStats[]>;
} {
  const { clock, recorder, pleg, probes, status, node, configObjects, tokens } = deps;
  const hostIps = (): readonly string[] => options.nodeIps;
  const drivers = new CsiDrivers({
    client: deps.client,
    nodeName: options.nodeName,
    node: () => node.node,
  });
  const imageVolumes = new ImageVolumes({ ...deps, ...options });
  const csi = csiVolumes(deps, options, drivers);
  const volumes = volumeManager(deps, options, { csi, images: imageVolumes });
  const admission = new Admission({
    node: () => node.node,
    allocatable: () => node.allocatable(),
    others: (uid) => deps.others(uid).filter((p) => stages.isAdmitted(p.metadata.uid)),
    isEnding: (pod) => deps.isEnding(pod.metadata.uid),
    pressure: deps.pressure,
    abilities: () => ({
      allowedSysctls: options.config.allowedUnsafeSysctls,
      apparmor: deps.machine.apparmor,
      strictGroups: node.abilities.features?.supplementalGroupsPolicy === true,
    }),
  });
  const { allocations, runtime, groups } = deps;
  const resizer = new Resizer({
    allocations,
    runtime,
    groups,
    recorder,
    allocatable: () => node.allocatable(),
    refusal: (pod) => admission.noRoom(pod),
    memory: nodeMemory(deps, options),
    wake: deps.wake,
  });
  const userNamespaces = new UserNamespaces({
    podsDir: join(options.rootDir, 'pods'),
    supports: (pod) => featuresFor(node, pod)?.userNamespaces === true,
  });
  const telling = {
    tell: (state: PodState): boolean => stages.tell(state),
    tellSoon: (state: PodState): void => stages.tellSoon(state),
  };
  const views = { volumes, hostIps, resizer, imageVolumes, userNamespaces };
  const stages: PodLifecycle = new PodLifecycle({
    sync: podSync(deps, options, { ...telling, ...views }),
    clock,
    pleg,
    probes,
    status,
    recorder,
    hostIps,
    admission,
    allocations,
    ...{ devices: deps.devices, rush: deps.rush },
    resizer,
    runtimeName: () => node.runtimeName,
    forget: (uid) => {
      configObjects.release(uid);
      tokens.release(uid);
      deps.devices.release(uid);
      userNamespaces.release(uid);
    },
    fail: deps.fail,
    refreshNode: () => node.refresh(),
  });
  const outsideVolumes = (pod: Pod, time: string) =>
    outsideVolumeStats(pod, { volumes, csi }, time);
  const expansion = new VolumeExpansion({ ...deps, volumes, csi, pods: () => deps.others('') });
  return { stages, volumes, drivers, csi, expansion, outsideVolumes };
}

const TELL_TIMEOUT_MS = 10_000;

function csiVolumes(
  { client, mounts, tokens, node }: PodStagesDeps,
  { rootDir, nodeName }: KubeletOptions,
  drivers: CsiDrivers,
): CsiVolumes {
  return new CsiVolumes({
    client,
    drivers,
    mounts,
    rootDir,
    nodeName,
    tellInUse: () => node.tellNow(AbortSignal.timeout(TELL_TIMEOUT_MS)),
    secret: async ({ namespace, name }) => {
      const { data = {} } = await client.get(SECRETS, { namespace, name });
      const texts = Object.entries(data).map(([key, text]) => [
        key,
        Buffer.from(text, 'base64').toString('utf8'),
      ]);
      return Object.fromEntries(texts);
    },
    token: (pod, audience, expirationSeconds) =>
      tokens.token(pod, { audience, expirationSeconds, path: '' }),
  });
}

function volumeManager(
  { client, mounts, node, configObjects, tokens, recorder, machine }: PodStagesDeps,
  { rootDir, nodeName }: KubeletOptions,
  { csi, images }: { csi: CsiVolumes; images: ImageVolumes },
): VolumeManager {
  const onSwappable = (): void => {
    if (machine.swap > 0) tellSwappable(recorder, nodeName);
  };
  return new VolumeManager({
    mounts,
    memory: new MemoryMounts({ mounts, onSwappable }),
    rootDir,
    csi,
    images,
    persistent: new PersistentVolumes({ client, mounts, csi, rootDir, node: () => node.node }),
    config: configObjects,
    allocatable: () => node.allocatable(),
    token: (pod, source) => tokens.token(pod, source),
  });
}

function podSync(
  deps: PodStagesDeps,
  options: KubeletOptions,
  {
    imageVolumes,
    ...given
  }: Pick<
    ConstructorParameters<typeof PodSync>[0],
    'volumes' | 'tell' | 'tellSoon' | 'hostIps' | 'resizer' | 'userNamespaces'
  > & {
    imageVolumes: ImageVolumes;
  },
): PodSync {
  const { client, runtime, recorder, clock, log, pleg, dirs, groups, probes, status } = deps;
  const { clusterDNS, clusterDomain } = options.config;
  return new PodSync({
    ...given,
    runtime,
    pleg,
    recorder,
    clock,
    log,
    killer: new ContainerKiller({ runtime, recorder, clock: deps.steady, log, pleg }),
    starter: containerStarter(deps, options, imageVolumes),
    groups,
    dirs,
    verdicts: probes,
    claims: deps.claims,
    allocations: deps.allocations,
    clusterDomain,
    dns: async () => ({
      ...{ node: await deps.resolver(), nodeName: options.nodeName },
      ...{ clusterDns: clusterDNS, clusterDomain },
    }),
    networkProblem: deps.networkProblem,
    runtimeHandler: (pod, signal) => handlerOf(client, pod, signal),
    told: (pod) => status.get(pod),
  });
}

function containerStarter(
  deps: PodStagesDeps,
  options: KubeletOptions,
  imageVolumes: ImageVolumes,
): ContainerStarter {
  const { config } = options;
  const { runtime, recorder, clock, mounts, dirs, node, configObjects } = deps;
  return new ContainerStarter({
    runtime,
    recorder,
    clock,
    images: new Images({
      runtime,
      recorder,
      clock,
      pullSecrets: (pod) => pullSecrets(deps, pod),
      records: deps.pullRecords,
      maxParallelPulls: config.serializeImagePulls ? 1 : config.maxParallelImagePulls,
    }),
    environment: {
      config: configObjects,
      services: deps.services,
      allocatable: () => node.allocatable(),
    },
    subPaths: new SubPaths({ mounts, dirs }),
    imageVolumes,
    devices: deps.devices,
    claims: deps.claims,
    dirs,
    memory: nodeMemory(deps, options),
    seccompDefault: config.seccompDefault,
    recursiveReadOnly: (pod) => featuresFor(node, pod)?.recursiveReadOnlyMounts === true,
  });
}

/** What the runtime says it can do for such a pod. */
function featuresFor({ abilities }: NodeReporter, pod: Pod) {
  const handler = pod.spec?.runtimeClassName ?? '';
  return abilities.handlers.find(({ name }) => name === handler)?.features;
}

function nodeMemory({ machine, cgroups }: KubeletDeps, { config }: KubeletOptions): NodeMemory {
  return {
    capacity: machine.memory,
    swap: {
      capacity: machine.swap,
      limited: config.memorySwap.swapBehavior === 'LimitedSwap',
      cgroupVersion: cgroups.version,
    },
  };
}

async function pullSecrets(
  { configObjects, recorder, log }: PodStagesDeps,
  pod: Pod,
): Promise<PullSecret[]> {
  const found: PullSecret[] = [];
  for (const { name } of pod.spec?.imagePullSecrets ?? []) {
    if (!name) continue;
    const secret = await configObjects.secret(pod, name);
    if (secret) {
      found.push(...entriesOfSecret(secret));
      continue;
    }
    const message = `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`;
    recorder.event(pod, 'Warning', 'FailedToRetrieveImagePullSecret', message);
    log.warn({ pod: podKey(pod), secret: name }, 'Pull secret is missing');
  }
  return found;
}

/** The runtime's handler that the pod's RuntimeClass names; empty is the default one. */
async function handlerOf(client: Client, pod: Pod, signal: AbortSignal): Promise<string> {
  const name = pod.spec?.runtimeClassName;
  if (!name) return '';
  try {
    return (await client.get(RUNTIME_CLASSES, { namespace: '', name }, signal)).handler;
  } catch (err) {
    if (isNotFound(err)) throw new Error(`RuntimeClass "${name}" not found`);
    throw err;
  }
}
