import { isAlreadyExists } from '../../api/errors.ts';
import {
  NODES,
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
} from '../../api/resource-types.ts';
import { CSI_DRIVERS, VOLUME_ATTACHMENTS } from '../../api/system-resource-types.ts';
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { claimKeysOf, claimNamesOf } from '../pod-volumes.ts';
import { unlessGone } from '../unless-gone.ts';
import {
  attachmentFor,
  isHeldElsewhere,
  isInUse,
  isOurs,
  type StorageListers,
  uniqueName,
  wantedOn,
} from './attachments.ts';

const NAME = 'attachdetach-controller';

interface Deps extends Pick<ControllerContext, 'client'> {
  readonly storage: StorageListers;
  readonly nodes: Informer<Node>;
  readonly pods: Informer<Pod>;
  readonly attachments: Informer<VolumeAttachment>;
  readonly events: EventRecorder;
}

/** Asks CSI drivers to attach volumes to the nodes of their Pods, and to take them away. Keys are nodes. */
export function attachDetachController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const nodes = informers.get(NODES);
  const pods = informers.get(PODS);
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const volumes = informers.get(PERSISTENT_VOLUMES);
  const drivers = informers.get(CSI_DRIVERS);
  const attachments = informers.get(VOLUME_ATTACHMENTS);
  pods.addIndex('node-volumes', (pod) =>
    pod.spec?.nodeName && claimNamesOf(pod).length > 0 ? [pod.spec.nodeName] : [],
  );
  pods.addIndex('claim-users', claimKeysOf);
  attachments.addIndex('volume', ({ spec }) => [spec.source.persistentVolumeName ?? '']);
  attachments.addIndex('node', ({ spec }) => [spec.nodeName]);
  const storage = { claims, volumes, drivers };
  const events = context.events(NAME);
  const deps = { client, storage, nodes, pods, attachments, events };
  const controller = newController(context, new AttachDetach(deps));
  const nodeOf = (pod: Pod) =>
    pod.spec?.nodeName && claimNamesOf(pod).length > 0 ? [pod.spec.nodeName] : [];
  controller.watch(pods, nodeOf);
  controller.watch(claims, ({ metadata }) =>
    pods.byIndex('claim-users', `${metadata.namespace}/${metadata.name}`).flatMap(nodeOf),
  );
  // Where one lets go, another may be waiting.
  controller.watch(attachments, ({ spec }) => [
    spec.nodeName,
    ...usersOf(volumes.get({ namespace: '', name: spec.source.persistentVolumeName ?? '' })),
  ]);
  for (const needed of [nodes, volumes, drivers]) controller.needs(needed);
  nodes.addHandler({
    onUpdate: (before, after) => {
      const changed = !jsonEqual(before.status?.volumesInUse, after.status?.volumesInUse);
      if (changed || !jsonEqual(before.spec?.taints, after.spec?.taints)) {
        controller.enqueue(after.metadata.name);
      }
    },
    onDelete: ({ metadata }) => controller.enqueue(metadata.name),
  });
  function usersOf(volume: PersistentVolume | undefined): string[] {
    const { namespace, name } = volume?.spec?.claimRef ?? {};
    return pods.byIndex('claim-users', `${namespace}/${name}`).flatMap(nodeOf);
  }
  return controller;
}

class AttachDetach implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile({ name }: ObjectKey): Promise<Result> {
    const { pods, storage, attachments, nodes } = this.#deps;
    const wanted = wantedOn(storage, pods.byIndex('node-volumes', name));
    const existing = attachments.byIndex('node', name);
    const has = new Set(existing.map(({ spec }) => spec.source.persistentVolumeName));
    for (const [volume, want] of wanted) if (!has.has(volume)) await this.#attach(name, want);
    const attached: PersistentVolume[] = [];
    const node = nodes.get({ namespace: '', name });
    for (const attachment of existing) {
      const key = { namespace: '', name: attachment.spec.source.persistentVolumeName ?? '' };
      const volume = storage.volumes.get(key);
      const want = wanted.get(key.name);
      if (want) this.#tell(attachment, want);
      if (!want && isOurs(attachment) && !isInUse(node, volume)) await this.#detach(attachment);
      else if (volume && attachment.status?.attached) attached.push(volume);
    }
    if (node) await this.#report(node, attached);
    return DONE;
  }

  async #attach(node: string, want: { volume: PersistentVolume; pod: Pod }): Promise<void> {
    const { client, attachments, events } = this.#deps;
    const { volume, pod } = want;
    const { name } = volume.metadata;
    if (isHeldElsewhere(volume, node, attachments.byIndex('volume', name))) {
      const text = `Multi-Attach error for volume "${name}" Volume is already exclusively attached to one node and can't be attached to another`;
      events.event(pod, 'Warning', 'FailedAttachVolume', text);
      return;
    }
    try {
      await client.create(VOLUME_ATTACHMENTS, attachmentFor(volume, node));
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
    }
  }

  /** Once for each attachment: the recorder counts repetitions, but an answer comes once. */
  #tell(attachment: VolumeAttachment, want: { volume: PersistentVolume; pod: Pod }): void {
    const { events, nodes } = this.#deps;
    const { attached, attachError } = attachment.status ?? {};
    const about = `for volume "${want.volume.metadata.name}"`;
    const node = nodes.get({ namespace: '', name: attachment.spec.nodeName });
    const told = node?.status?.volumesAttached?.some(
      ({ name }) => name === uniqueName(want.volume),
    );
    if (attached && !told) {
      const text = `AttachVolume.Attach succeeded ${about}`;
      events.event(want.pod, 'Normal', 'SuccessfulAttachVolume', text);
    } else if (!attached && attachError) {
      const text = `AttachVolume.Attach failed ${about} : ${attachError.message}`;
      events.event(want.pod, 'Warning', 'FailedAttachVolume', text);
    }
  }

  async #detach({ metadata }: VolumeAttachment): Promise<void> {
    if (metadata.deletionTimestamp) return; // its driver is at it
    const { name, uid } = metadata;
    const key = { namespace: '', name };
    await unlessGone(this.#deps.client.delete(VOLUME_ATTACHMENTS, key, { preconditions: { uid } }));
  }

  /** The kubelet mounts what its node's status says is attached. */
  async #report(node: Node, attached: readonly PersistentVolume[]): Promise<void> {
    const volumesAttached = attached
      .map((volume) => ({ name: uniqueName(volume), devicePath: '' }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    if (jsonEqual(node.status?.volumesAttached ?? [], volumesAttached)) return;
    const body = { status: { volumesAttached } };
    const how = { subresource: 'status' };
    await unlessGone(this.#deps.client.patch(NODES, node.metadata, { type: 'merge', body }, how));
  }
}
