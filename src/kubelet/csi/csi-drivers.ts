import { isAlreadyExists, isConflict, isNotFound } from '../../api/errors.ts';
import { NODES } from '../../api/resource-types.ts';
import { CSI_NODES } from '../../api/system-resource-types.ts';
import type { CSINode, Node } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { Turns } from '../../util/turns.ts';
import { type CsiNodeClient, connectCsiNode, type NodeInfo } from './csi-node-client.ts';

export interface CsiDriversDeps {
  client: Client;
  nodeName: string;
  node(): Node | undefined;
  connect?(socket: string): CsiNodeClient;
}

type CsiNodeDriver = NonNullable<CSINode['spec']>['drivers'][number];

const MAX_TRIES = 5;
const RETRY_MS = 2000;

/** The CSI drivers that have registered on this node, and what the API says of them (CSINode). */
export class CsiDrivers {
  readonly #deps: CsiDriversDeps;
  readonly #drivers = new Map<string, CsiNodeClient>();
  readonly #turns = new Turns();

  constructor(deps: CsiDriversDeps) {
    this.#deps = deps;
  }

  has(name: string): boolean {
    return this.#drivers.has(name);
  }

  /** Throws when no driver of that name is registered. */
  get(name: string): CsiNodeClient {
    const driver = this.#drivers.get(name);
    if (driver) return driver;
    throw new Error(`driver name ${name} not found in the list of registered CSI drivers`);
  }

  /** The node's object is there from the beginning, whether or not a driver ever comes. */
  async announce(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isDone = this.#deps.node() !== undefined && (await this.#made());
      if (isDone) return;
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }

  /** A server that does not answer now will. */
  #made(): Promise<boolean> {
    return this.#change((drivers) => [...drivers]).then(
      () => true,
      () => false,
    );
  }

  /** Takes up a driver that serves on `socket`. */
  async add(name: string, socket: string, signal: AbortSignal): Promise<void> {
    const driver = (this.#deps.connect ?? connectCsiNode)(socket);
    try {
      const info = await driver.info(signal);
      await this.#publish(name, info);
      await this.#labelNode(name, info);
    } catch (err) {
      driver.close();
      throw err;
    }
    this.#drivers.get(name)?.close();
    this.#drivers.set(name, driver);
  }

  async remove(name: string): Promise<void> {
    this.#drivers.get(name)?.close();
    if (!this.#drivers.delete(name)) return;
    await this.#change((drivers) => drivers.filter((d) => d.name !== name));
  }

  close(): void {
    for (const driver of this.#drivers.values()) driver.close();
    this.#drivers.clear();
  }

  #publish(name: string, info: NodeInfo): Promise<void> {
    const count = info.maxVolumesPerNode;
    const entry: CsiNodeDriver = {
      name,
      nodeID: info.nodeId,
      topologyKeys: Object.keys(info.topology),
      ...(count > 0 ? { allocatable: { count } } : {}),
    };
    return this.#change((drivers) => [...drivers.filter((d) => d.name !== name), entry]);
  }

  async #change(edit: (drivers: readonly CsiNodeDriver[]) => CsiNodeDriver[]): Promise<void> {
    const { client, nodeName } = this.#deps;
    for (let tries = 1; ; tries++) {
      try {
        const found = await this.#find();
        const drivers = edit(found?.spec?.drivers ?? []);
        if (found) {
          if (JSON.stringify(drivers) === JSON.stringify(found.spec?.drivers ?? [])) return;
          await client.update(CSI_NODES, { ...found, spec: { ...found.spec, drivers } });
        } else {
          await client.create(CSI_NODES, {
            apiVersion: 'storage.k8s.io/v1',
            kind: 'CSINode',
            metadata: { name: nodeName, ...this.#owner() },
            spec: { drivers },
          });
        }
        return;
      } catch (err) {
        if (tries === MAX_TRIES || !(isConflict(err) || isAlreadyExists(err))) throw err;
      }
    }
  }

  async #find(): Promise<CSINode | undefined> {
    try {
      return await this.#deps.client.get(CSI_NODES, { namespace: '', name: this.#deps.nodeName });
    } catch (err) {
      if (isNotFound(err)) return undefined;
      throw err;
    }
  }

  #owner() {
    const node = this.#deps.node();
    if (!node) return {};
    const { name, uid } = node.metadata;
    return { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }] };
  }

  /** The driver's name for the node, and where the node is in the driver's topology. */
  #labelNode(name: string, info: NodeInfo): Promise<void> {
    const { client, nodeName } = this.#deps;
    const annotation = 'csi.volume.kubernetes.io/nodeid';
    const key = { namespace: '', name: nodeName };
    // All drivers register at once with a kubelet that has started, and one text names them all.
    return this.#turns.run('', async () => {
      const { metadata } = await client.get(NODES, key);
      const before = JSON.parse(metadata.annotations?.[annotation] ?? '{}') as object;
      const annotations = { [annotation]: JSON.stringify({ ...before, [name]: info.nodeId }) };
      const body = { metadata: { annotations, labels: info.topology } };
      await client.patch(NODES, key, { type: 'strategic', body });
    });
  }
}
