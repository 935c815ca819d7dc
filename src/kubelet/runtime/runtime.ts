import type { ContainerStats, FilesystemUsage } from './container-stats.ts';

/**
 * What the kubelet asks of a container engine, in the shape of the Container Runtime Interface (CRI v1).
 * Implementations translate; nothing else in the kubelet knows which engine runs. Fields keep CRI's names in
 * camelCase; requests leave out what is not set; times are nanoseconds since the epoch, 0 when not yet.
 */
export interface ContainerRuntime {
  version(signal?: AbortSignal): Promise<RuntimeVersion>;
  /** Conditions RuntimeReady and NetworkReady, and what the handlers can do. */
  status(signal?: AbortSignal): Promise<RuntimeStatus>;
  /** Tells the engine the node's pod address range; engines that have their own may ignore it. */
  updatePodCidr(podCidr: string, signal?: AbortSignal): Promise<void>;

  /** Creates and starts the sandbox with its network. Answers its id. */
  runPodSandbox(config: PodSandboxConfig, handler: string, signal?: AbortSignal): Promise<string>;
  /** Kills what still runs inside and takes the network down. Safe to repeat; unknown ids are fine. */
  stopPodSandbox(id: string, signal?: AbortSignal): Promise<void>;
  /** Removes the sandbox and its containers. Unknown ids are fine. */
  removePodSandbox(id: string, signal?: AbortSignal): Promise<void>;
  podSandboxStatus(id: string, signal?: AbortSignal): Promise<PodSandboxStatus | undefined>;
  listPodSandboxes(filter?: LabelFilter, signal?: AbortSignal): Promise<PodSandbox[]>;

  createContainer(
    sandboxId: string,
    config: ContainerConfig,
    sandboxConfig: PodSandboxConfig,
    signal?: AbortSignal,
  ): Promise<string>;
  startContainer(id: string, signal?: AbortSignal): Promise<void>;
  /** Stop signal now, SIGKILL after `timeoutSeconds`. Resolves when the container has ended. */
  stopContainer(id: string, timeoutSeconds: number, signal?: AbortSignal): Promise<void>;
  removeContainer(id: string, signal?: AbortSignal): Promise<void>;
  listContainers(filter?: LabelFilter, signal?: AbortSignal): Promise<Container[]>;
  containerStatus(id: string, signal?: AbortSignal): Promise<ContainerStatus | undefined>;
  updateContainerResources(
    id: string,
    resources: LinuxContainerResources,
    signal?: AbortSignal,
  ): Promise<void>;
  reopenContainerLog(id: string, signal?: AbortSignal): Promise<void>;
  /** Writes the state of a running container to an archive. Engines without it fail as not implemented. */
  checkpointContainer(id: string, file: string, signal?: AbortSignal): Promise<void>;

  /** Runs a command to its end; output beyond the engine's limit is cut. Fails with `isRpcDeadline` when out of time. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
    signal?: AbortSignal,
  ): Promise<ExecSyncResult>;
  /** The URL of a prepared stream; whoever connects (SPDY or WebSocket) gets it. */
  exec(request: ExecRequest, signal?: AbortSignal): Promise<string>;
  attach(request: AttachRequest, signal?: AbortSignal): Promise<string>;
  portForward(sandboxId: string, ports: readonly number[], signal?: AbortSignal): Promise<string>;

  containerStats(id: string, signal?: AbortSignal): Promise<ContainerStats | undefined>;
  listContainerStats(filter?: LabelFilter, signal?: AbortSignal): Promise<ContainerStats[]>;

  listImages(signal?: AbortSignal): Promise<Image[]>;
  imageStatus(image: ImageSpec, signal?: AbortSignal): Promise<Image | undefined>;
  /** Answers the reference by which containers use the pulled image. */
  pullImage(
    image: ImageSpec,
    auth: AuthConfig | undefined,
    sandbox?: PodSandboxConfig,
    signal?: AbortSignal,
  ): Promise<string>;
  removeImage(image: ImageSpec, signal?: AbortSignal): Promise<void>;
  imageFsInfo(signal?: AbortSignal): Promise<FilesystemUsage[]>;
  /**
   * What to mount to see the files of an image that is here, under a name of the caller's; safe to repeat. Undefined when
   * the engine itself mounts what a `Mount` names as its image. Engines that have neither fail by name.
   */
  viewImage(
    image: ImageSpec,
    key: string,
    signal?: AbortSignal,
  ): Promise<readonly ImageMount[] | undefined>;
  /** The view is not mounted any more. Unknown keys are fine. */
  removeImageView(key: string, signal?: AbortSignal): Promise<void>;

  /**
   * Yields when a container may have changed, as soon as the engine tells. Only a hint: listing is the truth.
   * Throws when the engine has no such stream or it breaks.
   */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  close(): void;
}

export interface RuntimeEvent {
  containerId: string;
  /** The kernel killed a process of the container for want of memory. */
  oom?: boolean;
}

export type LabelFilter = Readonly<Record<string, string>>;

export interface RuntimeVersion {
  runtimeName: string;
  runtimeVersion: string;
  runtimeApiVersion: string;
}

export interface RuntimeCondition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
}

export interface RuntimeHandler {
  name: string;
  features: { recursiveReadOnlyMounts: boolean; userNamespaces: boolean } | null;
}

export interface RuntimeStatus {
  conditions: RuntimeCondition[];
  handlers: RuntimeHandler[];
  /** What the engine can do as a whole; absent when it does not tell. */
  features?: { supplementalGroupsPolicy: boolean } | undefined;
}

export type NamespaceMode = 'POD' | 'CONTAINER' | 'NODE' | 'TARGET';

/** Users `containerId` and on are `hostId` and on outside. */
export interface IdMapping {
  hostId: number;
  containerId: number;
  length: number;
}

export interface UserNamespace {
  mode: NamespaceMode;
  uids: IdMapping[];
  gids: IdMapping[];
}

export interface NamespaceOption {
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  targetId?: string;
  /** Absent: the node's own. */
  usernsOptions?: UserNamespace;
}

export interface SecurityProfile {
  profileType: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  localhostRef?: string;
}

export interface SelinuxOption {
  user: string;
  role: string;
  type: string;
  level: string;
}

export interface PodSandboxConfig {
  metadata: { name: string; uid: string; namespace: string; attempt: number };
  hostname: string;
  logDirectory: string;
  dnsConfig?: { servers: string[]; searches: string[]; options: string[] };
  portMappings: {
    protocol: 'TCP' | 'UDP' | 'SCTP';
    containerPort: number;
    hostPort: number;
    hostIp: string;
  }[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  linux: {
    cgroupParent: string;
    securityContext: {
      namespaceOptions: NamespaceOption;
      selinuxOptions?: SelinuxOption;
      runAsUser?: { value: number };
      runAsGroup?: { value: number };
      readonlyRootfs: boolean;
      supplementalGroups: number[];
      supplementalGroupsPolicy: 'Merge' | 'Strict';
      privileged: boolean;
      seccomp?: SecurityProfile;
    };
    sysctls: Record<string, string>;
    overhead?: LinuxContainerResources;
    resources?: LinuxContainerResources;
  };
}

export interface LinuxContainerResources {
  cpuPeriod?: number;
  cpuQuota?: number;
  cpuShares?: number;
  memoryLimitInBytes?: number;
  oomScoreAdj?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  hugepageLimits?: { pageSize: string; limit: number }[];
  unified?: Record<string, string>;
  memorySwapLimitInBytes?: number;
}

export interface Mount {
  containerPath: string;
  hostPath: string;
  readonly: boolean;
  selinuxRelabel?: boolean;
  propagation?:
    | 'PROPAGATION_PRIVATE'
    | 'PROPAGATION_HOST_TO_CONTAINER'
    | 'PROPAGATION_BIDIRECTIONAL';
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  recursiveReadOnly?: boolean;
  image?: ImageSpec;
  imageSubPath?: string;
}

export interface Device {
  containerPath: string;
  hostPath: string;
  permissions: string;
}

export interface ContainerConfig {
  metadata: { name: string; attempt: number };
  image: ImageSpec;
  command: string[];
  args: string[];
  workingDir: string;
  envs: { key: string; value: Uint8Array }[];
  mounts: Mount[];
  devices: Device[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Relative to the sandbox's log directory. */
  logPath: string;
  stdin: boolean;
  stdinOnce: boolean;
  tty: boolean;
  linux: { resources: LinuxContainerResources; securityContext: ContainerSecurityContext };
  CDIDevices?: { name: string }[];
  stopSignal?: string;
}

export interface ContainerSecurityContext {
  capabilities?: { addCapabilities: string[]; dropCapabilities: string[] };
  privileged: boolean;
  namespaceOptions: NamespaceOption;
  selinuxOptions?: SelinuxOption;
  runAsUser?: { value: number };
  runAsUsername?: string;
  runAsGroup?: { value: number };
  readonlyRootfs: boolean;
  supplementalGroups: number[];
  supplementalGroupsPolicy: 'Merge' | 'Strict';
  noNewPrivs: boolean;
  maskedPaths: string[];
  readonlyPaths: string[];
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
  /** The older spelling, which containerd 1.6 reads. */
  apparmorProfile?: string;
}

export interface ImageSpec {
  image: string;
  userSpecifiedImage?: string;
  runtimeHandler?: string;
  annotations?: Record<string, string>;
}

/** As mount(2) takes it. */
export interface ImageMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface PodSandbox {
  id: string;
  metadata: { name: string; uid: string; namespace: string; attempt: number };
  state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY';
  createdAt: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface PodSandboxStatus extends PodSandbox {
  network: { ip: string; additionalIps: { ip: string }[] } | null;
  linux: { namespaces: { options: NamespaceOption | null } | null } | null;
}

export type ContainerState =
  | 'CONTAINER_CREATED'
  | 'CONTAINER_RUNNING'
  | 'CONTAINER_EXITED'
  | 'CONTAINER_UNKNOWN';

export interface Container {
  id: string;
  podSandboxId: string;
  metadata: { name: string; attempt: number };
  image: ImageSpec | null;
  imageRef: string;
  state: ContainerState;
  createdAt: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ContainerStatus {
  id: string;
  metadata: { name: string; attempt: number };
  state: ContainerState;
  createdAt: number;
  startedAt: number;
  finishedAt: number;
  exitCode: number;
  image: ImageSpec | null;
  imageRef: string;
  imageId?: string;
  reason: string;
  message: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  logPath: string;
  resources: { linux: LinuxContainerResources | null } | null;
  user?: { linux: { uid: number; gid: number; supplementalGroups: number[] } | null } | null;
}

export interface ExecSyncResult {
  stdout: Uint8Array;
  stderr: Uint8Array;
  exitCode: number;
}

export interface AttachRequest {
  containerId: string;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface ExecRequest extends AttachRequest {
  cmd: string[];
}

export interface Image {
  id: string;
  repoTags: string[];
  repoDigests: string[];
  size: number;
  uid: { value: number } | null;
  username: string;
  pinned: boolean;
}

export interface AuthConfig {
  username?: string;
  password?: string;
  auth?: string;
  serverAddress?: string;
  identityToken?: string;
  registryToken?: string;
}
