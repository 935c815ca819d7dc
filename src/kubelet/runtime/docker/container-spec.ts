import type { ContainerCreateOptions, HostConfig } from 'dockerode';
import type {
  ContainerConfig,
  ContainerSecurityContext,
  LinuxContainerResources,
  Mount,
  NamespaceMode,
  PodSandboxConfig,
  SecurityProfile,
} from '../runtime.ts';
import { SANDBOX_ID_LABEL, TYPE_LABEL, toLabels } from './labels.ts';

export interface SpecFacts {
  /** Name or id of the pause image. */
  readonly pauseImage: string;
  /** The lowest OOM score adjustment that the engine may set; it fails when it may not go so low. */
  readonly lowestOomScore: number;
  /** A runtime handler by name; empty is the engine's default. */
  readonly handler: string;
}

/** Docker's own log is only what the CRI log is made from: it must not fill the disk. */
const LOG_CONFIG = { Type: 'json-file', Config: { 'max-size': '20m', 'max-file': '2' } };

/** The pause container that holds a pod's namespaces. Pure. */
export function sandboxSpec(config: PodSandboxConfig, facts: SpecFacts): ContainerCreateOptions {
  const { metadata, linux, labels, annotations, hostname } = config;
  const { name, namespace, uid, attempt } = metadata;
  const { namespaceOptions: ns, privileged, seccomp, selinuxOptions } = linux.securityContext;
  const onHost = ns.network === 'NODE';
  return {
    name: `k8s_POD_${name}_${namespace}_${uid}_${attempt}`,
    Image: facts.pauseImage,
    Labels: {
      ...toLabels(labels, annotations),
      [TYPE_LABEL]: 'podsandbox',
      ...attemptLabel(attempt),
    },
    ...(hostname === '' || onHost ? {} : { Hostname: hostname }),
    HostConfig: {
      NetworkMode: onHost ? 'host' : 'none',
      IpcMode: ns.ipc === 'NODE' ? 'host' : 'shareable',
      ...(ns.pid === 'NODE' ? { PidMode: 'host' } : {}),
      CgroupParent: linux.cgroupParent,
      Sysctls: onHost ? {} : linux.sysctls,
      SecurityOpt: [
        'no-new-privileges',
        ...seccompOption(seccomp),
        ...selinuxOption(selinuxOptions),
      ],
      Privileged: privileged,
      OomScoreAdj: Math.max(-998, facts.lowestOomScore),
      LogConfig: LOG_CONFIG,
      ...(facts.handler === '' ? {} : { Runtime: facts.handler }),
    },
  };
}

export interface ContainerFacts extends SpecFacts {
  readonly sandboxId: string;
  /** Absolute path of the CRI log. */
  readonly logPath: string;
  /** Seccomp profiles by path: Docker wants their content. */
  readonly seccompProfile?: string | undefined;
}

/** A pod's container, inside the sandbox's namespaces. Pure. */
export function containerSpec(
  config: ContainerConfig,
  sandbox: PodSandboxConfig,
  facts: ContainerFacts,
): ContainerCreateOptions {
  const { metadata, command, args, labels, annotations } = config;
  const { name, namespace, uid } = sandbox.metadata;
  return {
    name: `k8s_${metadata.name}_${name}_${namespace}_${uid}_${metadata.attempt}`,
    Image: config.image.image,
    // A command of its own drops the image's arguments as well: Docker does that when Entrypoint is given.
    ...(command.length > 0 ? { Entrypoint: [...command] } : {}),
    ...(args.length > 0 ? { Cmd: [...args] } : {}),
    Env: config.envs.map(({ key, value }) => `${key}=${Buffer.from(value).toString('utf8')}`),
    ...(config.workingDir === '' ? {} : { WorkingDir: config.workingDir }),
    ...userOf(config.linux.securityContext),
    ...(config.stopSignal ? { StopSignal: config.stopSignal } : {}),
    Tty: config.tty,
    OpenStdin: config.stdin,
    StdinOnce: config.stdinOnce,
    Labels: {
      ...toLabels(labels, annotations),
      [TYPE_LABEL]: 'container',
      [SANDBOX_ID_LABEL]: facts.sandboxId,
      [LOG_PATH_LABEL]: facts.logPath,
      ...attemptLabel(metadata.attempt),
    },
    HostConfig: hostConfig(config, sandbox, facts),
  };
}

export const LOG_PATH_LABEL = 'io.kubernetes.container.logpath';
export const ATTEMPT_LABEL = 'io.kubernetes.docker.attempt';
const attemptLabel = (attempt: number) => ({ [ATTEMPT_LABEL]: String(attempt) });

function hostConfig(
  config: ContainerConfig,
  sandbox: PodSandboxConfig,
  facts: ContainerFacts,
): HostConfig {
  const { securityContext: security, resources } = config.linux;
  const { namespaceOptions: ns } = security;
  const shared = `container:${facts.sandboxId}`;
  const capabilities = security.capabilities;
  return {
    NetworkMode: shared,
    IpcMode: ns.ipc === 'NODE' ? 'host' : shared,
    PidMode: pidMode(ns.pid, shared, ns.targetId),
    CgroupParent: sandbox.linux.cgroupParent,
    Binds: config.mounts.map(bindOf),
    Devices: config.devices.map((d) => ({
      PathOnHost: d.hostPath,
      PathInContainer: d.containerPath,
      CgroupPermissions: d.permissions,
    })),
    Privileged: security.privileged,
    ReadonlyRootfs: security.readonlyRootfs,
    CapAdd: capabilities?.addCapabilities ?? [],
    CapDrop: capabilities?.dropCapabilities ?? [],
    GroupAdd: security.supplementalGroups.map(String),
    SecurityOpt: securityOptions(security, facts.seccompProfile),
    ...maskedPaths(security),
    ...resourceConfig(resources, facts.lowestOomScore),
    LogConfig: LOG_CONFIG,
  };
}

function pidMode(mode: NamespaceMode, shared: string, target: string | undefined): string {
  if (mode === 'NODE') return 'host';
  if (mode === 'POD') return shared;
  return mode === 'TARGET' && target ? `container:${target}` : '';
}

/** `HOST:CONTAINER[:OPTIONS]`, with the options that Docker knows. */
function bindOf({ hostPath, containerPath, readonly, propagation, selinuxRelabel }: Mount): string {
  const options = [
    ...(readonly ? ['ro'] : []),
    ...(selinuxRelabel ? ['Z'] : []),
    ...(propagation === 'PROPAGATION_BIDIRECTIONAL' ? ['rshared'] : []),
    ...(propagation === 'PROPAGATION_HOST_TO_CONTAINER' ? ['rslave'] : []),
  ];
  return [hostPath, containerPath, ...(options.length > 0 ? [options.join(',')] : [])].join(':');
}

function userOf({ runAsUser, runAsUsername, runAsGroup }: ContainerSecurityContext): {
  User?: string;
} {
  const user = runAsUser ? String(runAsUser.value) : (runAsUsername ?? '');
  if (runAsGroup) return { User: `${user}:${runAsGroup.value}` };
  return user === '' ? {} : { User: user };
}

function securityOptions(
  {
    noNewPrivs,
    seccomp,
    apparmor,
    apparmorProfile,
    selinuxOptions,
    privileged,
  }: ContainerSecurityContext,
  profile: string | undefined,
): string[] {
  const armor = apparmorName(apparmor) ?? apparmorProfile?.replace(/^localhost\//, '');
  return [
    ...(noNewPrivs ? ['no-new-privileges'] : []),
    ...(privileged ? [] : seccompOption(seccomp, profile)),
    ...(armor && armor !== 'runtime/default' ? [`apparmor=${armor}`] : []),
    ...selinuxOption(selinuxOptions),
  ];
}

function apparmorName(profile: SecurityProfile | undefined): string | undefined {
  if (profile?.profileType === 'Unconfined') return 'unconfined';
  return profile?.profileType === 'Localhost' ? profile.localhostRef : undefined;
}

/** Without a word Docker applies its own default profile; Kubernetes' default is none. */
function seccompOption(profile: SecurityProfile | undefined, content?: string): string[] {
  if (profile?.profileType === 'RuntimeDefault') return [];
  if (profile?.profileType === 'Localhost' && content) return [`seccomp=${content}`];
  return ['seccomp=unconfined'];
}

function selinuxOption(
  options: { user: string; role: string; type: string; level: string } | undefined,
): string[] {
  return Object.entries(options ?? {})
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `label=${name}:${value}`);
}

/** Docker masks paths by itself unless it is told which; an empty list of ours means none. */
function maskedPaths({ maskedPaths: masked, readonlyPaths }: ContainerSecurityContext) {
  return { MaskedPaths: [...masked], ReadonlyPaths: [...readonlyPaths] };
}

/** What Docker is told of limits, at creation and later. Pure. */
export function resourceConfig(
  resources: LinuxContainerResources,
  lowestOomScore: number,
): Pick<
  HostConfig,
  | 'CpuShares'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'Memory'
  | 'MemorySwap'
  | 'OomScoreAdj'
  | 'CpusetCpus'
  | 'CpusetMems'
> {
  const { memoryLimitInBytes: memory = 0, memorySwapLimitInBytes: swap } = resources;
  return {
    ...(resources.cpuShares ? { CpuShares: resources.cpuShares } : {}),
    ...(resources.cpuPeriod ? { CpuPeriod: resources.cpuPeriod } : {}),
    ...(resources.cpuQuota ? { CpuQuota: resources.cpuQuota } : {}),
    // As much swap as memory in Docker's counting means no swap at all.
    ...(memory > 0 ? { Memory: memory, MemorySwap: swap || memory } : {}),
    OomScoreAdj: Math.max(resources.oomScoreAdj ?? 0, lowestOomScore),
    ...(resources.cpusetCpus ? { CpusetCpus: resources.cpusetCpus } : {}),
    ...(resources.cpusetMems ? { CpusetMems: resources.cpusetMems } : {}),
  };
}
