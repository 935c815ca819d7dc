import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { LEASES, NODES } from '../../api/resource-types.ts';
import { microTimeString } from '../../api/times.ts';
import type { Lease, Node } from '../../api/types.ts';
import type { Client, EventRecorder } from '../../client/client.ts';
import { filesystemFacts, type MachineFacts } from '../../host/machine.ts';
import { type Clock, hasPassed } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import type { Logger } from '../../util/log.ts';
import { Turns } from '../../util/turns.ts';
import type { KubeletConfiguration } from '../config.ts';
import { parseDuration } from '../config.ts';
import type { DeviceResources } from '../devices/device-manager.ts';
import type { ContainerRuntime, RuntimeStatus, RuntimeVersion } from '../runtime/runtime.ts';
import {
  type ConditionFacts,
  newNode,
  nodeAllocatable,
  nodeCapacity,
  nodeConditions,
  nodeHandlers,
  nodeImages,
  ownLabels,
} from './node-object.ts';

type NodeStatus = NonNullable<Node['status']>;

export interface NodeReporterDeps {
  client: Client;
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  machine: MachineFacts;
  config: KubeletConfiguration;
  name: string;
  rootDir: string;
  labels: Readonly<Record<string, string>>;
  addresses(): readonly string[];
  gitVersion: string;
  conditions(runtime: RuntimeStatus | undefined): Promise<ConditionFacts>;
  devices(): DeviceResources;
  /** Volumes that no controller may detach now. */
  volumesInUse(): readonly string[];
  /** The controller manager gave the node its pod range. */
  onPodCidr(cidr: string): void;
}

const RETRY_MS = 1000;
const IMAGES_AGE_MS = 60_000;
const NO_DISK = { capacityBytes: 0 };

/** Registers the node, keeps its status and its lease true. Writes the status only when it changed, else every 5 min. */
export class NodeReporter {
  readonly #deps: NodeReporterDeps;
  #node: Node | undefined;
  #registered = false;
  #told: NodeStatus | undefined;
  #toldAt = 0;
  #wasUnschedulable = false;
  #lease: Lease | undefined;
  #version: RuntimeVersion | undefined;
  #images: { at: number; list: NonNullable<NodeStatus['images']> } = { at: 0, list: [] };
  #wake: () => void = () => {};
  readonly #turns = new Turns();
  readonly #asked = Promise.withResolvers<void>();
  /** The runtime's own word, from the last look. */
  runtimeStatus: RuntimeStatus | undefined;
  /** By the last word that there was: no pod is refused because the runtime does not answer at the moment. */
  abilities: Pick<RuntimeStatus, 'handlers' | 'features'> = { handlers: [] };

  constructor(deps: NodeReporterDeps) {
    this.#deps = deps;
  }

  get node(): Node | undefined {
    return this.#node;
  }

  /** `containerd`: the scheme of container ids. */
  get runtimeName(): string {
    return this.#version?.runtimeName ?? 'unknown';
  }

  /** Pods' statuses name the runtime, and its features decide over them: it is asked before the first pod. */
  async meetRuntime(signal: AbortSignal): Promise<void> {
    const { runtime } = this.#deps;
    [this.runtimeStatus, this.#version] = await Promise.all([
      runtime.status(signal),
      this.#version ?? runtime.version(signal),
    ]);
    this.abilities = this.runtimeStatus;
  }

  /**
   * As it was told; before that what is known without a look at the disk, since pods do not wait for it. Devices are
   * counted now: a plugin may have come since, and the scheduler's word may be older still.
   */
  allocatable(): Record<string, string> {
    const { machine, config, devices } = this.#deps;
    const { 'ephemeral-storage': _, ...known } = nodeCapacity(machine, NO_DISK, config);
    const own = this.#told?.allocatable ?? nodeAllocatable(known, config);
    return { ...own, ...devices().allocatable };
  }

  /** Tells the status now; resolves when the API has it. */
  async tellNow(signal: AbortSignal): Promise<void> {
    if (!this.#node) throw new Error('the node is not registered yet');
    await this.#report(signal);
  }

  /** Resolves when the API has been asked for the node once, whatever came of it: it decides which pods are let in. */
  whenAsked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Learns what others have made of the node meanwhile. */
  async refresh(): Promise<void> {
    const { client, name } = this.#deps;
    this.#node = await client.get(NODES, { namespace: '', name });
  }

  /** Another reason to look now. */
  poke(): void {
    this.#wake();
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#statusLoop(signal), this.#leaseLoop(signal)]);
  }

  async #statusLoop(signal: AbortSignal): Promise<void> {
    const { clock, log, config } = this.#deps;
    while (!signal.aborted) {
      let wait = parseDuration(config.nodeStatusUpdateFrequency);
      // From before the look: what changes during it may have come too late for it.
      const poked = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      try {
        await this.#register().finally(() => this.#asked.resolve());
        await this.#report(signal);
        // Not ready is expected to end soon: look again sooner than the usual round.
        if (this.#readyStatus() !== 'True') wait = RETRY_MS;
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Cannot report the node');
        if (isNotFound(err)) this.#node = undefined;
        // A node that was deleted is not expected to come back soon.
        if (!isNotFound(err) || !this.#registered) wait = RETRY_MS;
      }
      await Promise.race([clock.sleep(wait, signal).catch(() => {}), poked]);
    }
  }

  #readyStatus(): string | undefined {
    return this.#told?.conditions?.find((c) => c.type === 'Ready')?.status;
  }

  /**
   * Once: who deletes the node of a kubelet that runs means it, and it does not come back until the kubelet is started
   * again, or somebody else makes it.
   */
  async #register(): Promise<void> {
    if (this.#node) return;
    const { client, machine, name, labels, config, log, recorder } = this.#deps;
    const key = { namespace: '', name };
    if (this.#registered) {
      this.#node = await client.get(NODES, key);
      this.#told = undefined;
      return;
    }
    try {
      if (!config.registerNode) this.#node = await client.get(NODES, key);
      else this.#node = await client.create(NODES, newNode(name, machine, { labels, config }));
      log.info({ node: name }, 'Registered node');
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
      const wanted = { ...ownLabels(name, machine), ...labels };
      const found = await client.get(NODES, key);
      const missing = Object.entries(wanted).some(([k, v]) => found.metadata.labels?.[k] !== v);
      this.#node = missing
        ? await client.patch(NODES, key, {
            type: 'strategic',
            body: { metadata: { labels: wanted } },
          })
        : found;
      this.#tellReboot(found);
    }
    this.#registered = true;
    this.#told = undefined;
    recorder.event(this.#subject(), 'Normal', 'Starting', 'Starting kubelet.');
  }

  #subject() {
    const { name } = this.#deps;
    // Upstream's node events carry the name in place of the uid, so that they outlive the object.
    return { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  }

  /** One after the other: what was seen first must not be told last. */
  #report(signal: AbortSignal): Promise<void> {
    return this.#turns.run('', () => this.#reportNow(signal));
  }

  async #reportNow(signal: AbortSignal): Promise<void> {
    const { client, clock, name, config, onPodCidr } = this.#deps;
    const status = await this.#status(signal);
    const before = this.#told;
    const frequency = parseDuration(config.nodeStatusReportFrequency);
    const due = hasPassed(frequency, this.#toldAt, clock.now());
    const isNews = !before || !jsonEqual(withoutHeartbeats(before), withoutHeartbeats(status));
    if (!isNews && !due && (await this.#isBelieved(status, signal))) return;
    const told = await client.patch(
      NODES,
      { namespace: '', name },
      { type: 'strategic', body: { status: withDirectives(status) } },
      { subresource: 'status' },
    );
    this.#told = status;
    this.#toldAt = clock.now();
    this.#tellTransitions(before, status);
    this.#learn(told);
    if (told.spec?.podCIDR) onPodCidr(told.spec.podCIDR);
  }

  /** What others have made of the node meanwhile. */
  #learn(node: Node): void {
    this.#node = node;
    const isUnschedulable = node.spec?.unschedulable === true;
    if (isUnschedulable === this.#wasUnschedulable) return;
    this.#wasUnschedulable = isUnschedulable;
    this.#tell(isUnschedulable ? 'NodeNotSchedulable' : 'NodeSchedulable');
  }

  /** Whether the API holds the conditions that were told: a node that was not heard of is made Unknown by a controller. */
  async #isBelieved({ conditions = [] }: NodeStatus, signal: AbortSignal): Promise<boolean> {
    const { client, name } = this.#deps;
    const node = await client.get(NODES, { namespace: '', name }, signal);
    this.#learn(node);
    const held = new Map(node.status?.conditions?.map((held) => [held.type, held.status]));
    return conditions.every(({ type, status: told }) => held.get(type) === told);
  }

  async #status(signal: AbortSignal): Promise<NodeStatus> {
    const { machine, config, clock, rootDir, addresses, name } = this.#deps;
    await this.meetRuntime(signal).catch(() => {
      this.runtimeStatus = undefined;
    });
    signal.throwIfAborted();
    const asked = this.runtimeStatus;
    const own = nodeCapacity(machine, await filesystemFacts(rootDir), config);
    const devices = this.#deps.devices();
    const before = this.#told?.conditions ?? this.#node?.status?.conditions ?? [];
    return {
      addresses: [
        ...addresses().map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: name },
      ],
      capacity: { ...own, ...devices.capacity },
      allocatable: { ...nodeAllocatable(own, config), ...devices.allocatable },
      daemonEndpoints: { kubeletEndpoint: { Port: config.port } },
      nodeInfo: this.#nodeInfo(),
      images: await this.#listImages(asked !== undefined, signal),
      ...(asked?.handlers.length ? { runtimeHandlers: nodeHandlers(asked.handlers) } : {}),
      ...inUse(this.#deps.volumesInUse()),
      conditions: nodeConditions(await this.#deps.conditions(asked), before, clock.now()),
    };
  }

  #nodeInfo(): NonNullable<NodeStatus['nodeInfo']> {
    const { machine, gitVersion } = this.#deps;
    const { runtimeName = 'containerd', runtimeVersion = 'unknown' } = this.#version ?? {};
    return {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: `${runtimeName}://${runtimeVersion}`,
      kubeletVersion: gitVersion,
      kubeProxyVersion: '',
      operatingSystem: machine.operatingSystem,
      architecture: machine.architecture,
      ...(machine.swap > 0 ? { swap: { capacity: machine.swap } } : {}),
    };
  }

  async #listImages(up: boolean, signal: AbortSignal): Promise<NonNullable<NodeStatus['images']>> {
    const { runtime, clock } = this.#deps;
    if (up && hasPassed(IMAGES_AGE_MS, this.#images.at, clock.now())) {
      this.#images = { at: clock.now(), list: nodeImages(await runtime.listImages(signal)) };
    }
    return this.#images.list;
  }

  #tellTransitions(before: NodeStatus | undefined, after: NodeStatus): void {
    for (const { type, status, reason } of after.conditions ?? []) {
      const earlier = before?.conditions?.find((c) => c.type === type);
      if (earlier?.status === status) continue;
      const word = EVENT_REASONS[`${type}=${status}`];
      if (!word) continue;
      if (type === 'Ready' && !before && reason === 'KubeletNotReady') continue;
      this.#tell(word);
    }
  }

  #tell(word: string): void {
    const { recorder, name } = this.#deps;
    recorder.event(this.#subject(), 'Normal', word, `Node ${name} status is now: ${word}`);
  }

  #tellReboot({ status }: Node): void {
    const { recorder, name, machine } = this.#deps;
    const before = status?.nodeInfo?.bootID;
    if (!before || before === machine.bootId) return;
    const message = `Node ${name} has been rebooted, boot id: ${machine.bootId}`;
    recorder.event(this.#subject(), 'Warning', 'Rebooted', message);
  }

  async #leaseLoop(signal: AbortSignal): Promise<void> {
    const { clock, log, config } = this.#deps;
    const period = (config.nodeLeaseDurationSeconds * 1000) / 4;
    while (!signal.aborted) {
      let wait = period;
      try {
        if (this.#node) await this.#renewLease();
        else wait = RETRY_MS / 4;
      } catch (err) {
        if (signal.aborted) return;
        this.#lease = undefined;
        log.warn({ err: errorMessage(err) }, 'Cannot renew the node lease');
        wait = RETRY_MS;
      }
      await clock.sleep(wait, signal).catch(() => {});
    }
  }

  async #renewLease(): Promise<void> {
    const { client, clock, name, config } = this.#deps;
    const key = { namespace: LEASE_NAMESPACE, name };
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: config.nodeLeaseDurationSeconds,
      renewTime: microTimeString(clock.now()),
    };
    this.#lease ??= await client.get(LEASES, key).catch((err: unknown) => {
      if (isNotFound(err)) return undefined;
      throw err;
    });
    if (this.#lease) {
      this.#lease = await client.update(LEASES, { ...this.#lease, spec });
      return;
    }
    const uid = this.#node?.metadata.uid ?? '';
    this.#lease = await client.create(LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        ...key,
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }],
      },
      spec,
    });
  }
}

const LEASE_NAMESPACE = 'kube-node-lease';

const EVENT_REASONS: Record<string, string> = {
  'Ready=True': 'NodeReady',
  'Ready=False': 'NodeNotReady',
  'MemoryPressure=True': 'NodeHasInsufficientMemory',
  'MemoryPressure=False': 'NodeHasSufficientMemory',
  'DiskPressure=True': 'NodeHasDiskPressure',
  'DiskPressure=False': 'NodeHasNoDiskPressure',
  'PIDPressure=True': 'NodeHasInsufficientPID',
  'PIDPressure=False': 'NodeHasSufficientPID',
};

function withoutHeartbeats(status: NodeStatus): NodeStatus {
  const conditions = (status.conditions ?? []).map(({ lastHeartbeatTime: _, ...rest }) => rest);
  return { ...status, conditions };
}

const inUse = (volumesInUse: readonly string[]) =>
  volumesInUse.length > 0 ? { volumesInUse: [...volumesInUse] } : {};

/** Addresses merge by type: without the directive one that is gone would stay. */
function withDirectives(status: NodeStatus): object {
  const { volumesInUse = null } = status;
  return {
    ...status,
    volumesInUse,
    addresses: [...(status.addresses ?? []), { $patch: 'replace' }],
  };
}
