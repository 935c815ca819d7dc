import { isAlreadyExists } from '../../api/errors.ts';
import {
  keyString,
  NODES,
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
} from '../../api/resource-types.ts';
import { STORAGE_CLASSES } from '../../api/system-resource-types.ts';
import type {
  Draft,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../api/types.ts';
import type { Client, EventRecorder, Lister } from '../../client/client.ts';
import { type Controller, DONE, type Reconciler, type Result } from '../../client/controller.ts';
import type { Clock } from '../../util/clock.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';
import { classOf } from '../volume-class.ts';
import {
  ABOUT,
  CLEANUP,
  defaultClass,
  HELPER_LABEL,
  helperKey,
  helperPod,
  isDefault,
  isOurs,
  type LocalPathOptions,
  PROVISIONER,
  SELECTED_NODE,
  type Task,
  unsupported,
  volumeFor,
  volumeName,
} from './volume.ts';

const NAME = 'local-path-provisioner';
/** How long a helper may take before it is counted as failed (the model's CmdTimeoutSeconds). */
const HELPER_MS = 120_000;
/** The class is there in a moment: the API server is. */
const CLASS_RETRY_MS = 1_000;

interface Deps {
  readonly client: Client;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly claims: Lister<PersistentVolumeClaim>;
  readonly volumes: Lister<PersistentVolume>;
  readonly classes: Lister<StorageClass>;
  readonly nodes: Lister<Node>;
  readonly helpers: Lister<Pod>;
  readonly options: LocalPathOptions;
}

/**
 * Volumes that are directories of one node, made for claims and removed with them (the local-path provisioner is the
 * model). A Pod on that node does the work; here it is started, awaited and removed.
 */
export function localPathProvisioner(context: ControllerContext): readonly Runnable[] {
  const { client, clock, informers } = context;
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const volumes = informers.get(PERSISTENT_VOLUMES);
  const classes = informers.get(STORAGE_CLASSES);
  const nodes = informers.get(NODES);
  const helpers = informers.get(PODS);
  const events = context.events(NAME);
  const options = context.options.localPath;
  const deps = { client, clock, events, claims, volumes, classes, nodes, helpers, options };
  const making: Controller = newController(context, new Provisioner(deps));
  const removing: Controller = newController(context, new Remover(deps));
  making.watch(claims);
  making.watch(classes, ({ metadata }) =>
    claims.list().flatMap((claim) => (classOf(claim) === metadata.name ? [keyOf(claim)] : [])),
  );
  removing.watch(volumes);
  making.watch(volumes, ({ spec }) =>
    spec?.claimRef ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : [],
  );
  helpers.addHandler({ onUpdate: wake, onDelete: (pod) => wake(pod, pod) });
  function wake(_before: Pod, { metadata }: Pod): void {
    const task = metadata.labels?.[HELPER_LABEL];
    const about = metadata.annotations?.[ABOUT] ?? '';
    if (task === 'create') making.enqueue(about);
    if (task === 'delete') removing.enqueue(about);
  }
  for (const loop of [making, removing]) for (const one of [nodes, helpers]) loop.needs(one);
  return [classMaker(context), making, removing];
}

/** Makes the default class once, when the manager starts: whoever deletes it while it runs means it. */
function classMaker({ client, clock, log, informers }: ControllerContext): Runnable {
  const classes = informers.get(STORAGE_CLASSES);
  return {
    async run(signal) {
      await classes.whenSynced(signal).catch(() => {});
      while (!signal.aborted) {
        try {
          await client.create(STORAGE_CLASSES, defaultClass(!classes.list().some(isDefault)));
          return;
        } catch (err) {
          if (isAlreadyExists(err)) return;
          log.debug({ err }, 'Cannot make the storage class yet');
          await clock.sleep(CLASS_RETRY_MS, signal).catch(() => {});
        }
      }
    },
  };
}

/** Runs one helper at a time for each volume. */
class Helpers {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Starts the helper, or looks how it is doing. Throws when it failed: it is then removed, to be tried again. */
  async advance(task: Task, draft: Draft<Pod>, volume: string): Promise<'done' | number> {
    const { client, helpers, clock } = this.#deps;
    const key = helperKey(task, volume);
    const pod = helpers.get(key);
    if (!pod) {
      try {
        await client.create(PODS, draft);
      } catch (err) {
        if (!isAlreadyExists(err)) throw err;
      }
      return HELPER_MS;
    }
    if (pod.status?.phase === 'Succeeded') return 'done';
    const left = Date.parse(pod.metadata.creationTimestamp) + HELPER_MS - clock.now();
    if (pod.status?.phase !== 'Failed' && left > 0) return left;
    await this.remove(task, volume);
    throw new Error(`The helper Pod ${key.name} did not succeed`);
  }

  async remove(task: Task, volume: string): Promise<void> {
    if (!this.#deps.helpers.get(helperKey(task, volume))) return;
    await unlessGone(
      this.#deps.client.delete(PODS, helperKey(task, volume), { gracePeriodSeconds: 0 }),
    );
  }
}

/** Makes volumes. Keys are claims. */
class Provisioner implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;
  readonly #helpers: Helpers;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#helpers = new Helpers(deps);
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { claims, classes, volumes } = this.#deps;
    const claim = claims.get(key);
    if (!claim || claim.metadata.deletionTimestamp) return DONE;
    const storageClass = classes.get({ namespace: '', name: classOf(claim) });
    if (storageClass?.provisioner !== PROVISIONER) return DONE;
    const name = volumeName(claim);
    if (volumes.get({ namespace: '', name })) {
      // Only now: while the cache does not show the volume, the helper says that it is made.
      await this.#helpers.remove('create', name);
      return DONE;
    }
    if (claim.spec?.volumeName) return DONE;
    const node = await this.#nodeFor(claim, storageClass);
    return node ? this.#provision(claim, node, storageClass) : DONE;
  }

  async #nodeFor(
    claim: PersistentVolumeClaim,
    { volumeBindingMode }: StorageClass,
  ): Promise<Node | undefined> {
    const problem = unsupported(claim);
    if (problem !== undefined) return this.#fail(claim, problem);
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected === undefined) {
      if (volumeBindingMode === 'WaitForFirstConsumer') return undefined;
      return this.#fail(claim, 'configuration error, no node was specified');
    }
    const node = this.#deps.nodes.get({ namespace: '', name: selected });
    if (node) return node;
    this.#fail(claim, `node ${JSON.stringify(selected)} does not exist; another one is looked for`);
    const { [SELECTED_NODE]: _gone, ...annotations } = claim.metadata.annotations ?? {};
    const changed = { ...claim, metadata: { ...claim.metadata, annotations } };
    await unlessGone(this.#deps.client.update(PERSISTENT_VOLUME_CLAIMS, changed));
    return undefined;
  }

  async #provision(
    claim: PersistentVolumeClaim,
    node: Node,
    storageClass: StorageClass,
  ): Promise<Result> {
    const { client, events, options, helpers } = this.#deps;
    const volume = volumeFor(claim, { node, storageClass }, options);
    const name = volumeName(claim);
    const key = keyOf(claim);
    const path = volume.spec?.hostPath?.path ?? '';
    const draft = helperPod(
      'create',
      { name, path, node: node.metadata.name, about: key },
      options,
    );
    if (!helpers.get(helperKey('create', name))) {
      const text = `External provisioner is provisioning volume for claim "${key}"`;
      events.event(claim, 'Normal', 'Provisioning', text);
    }
    let state: 'done' | number;
    try {
      state = await this.#helpers.advance('create', draft, name);
    } catch (err) {
      this.#fail(claim, (err as Error).message);
      throw err;
    }
    if (state !== 'done') return { requeueAfterMs: state };
    try {
      await client.create(PERSISTENT_VOLUMES, volume);
      events.event(
        claim,
        'Normal',
        'ProvisioningSucceeded',
        `Successfully provisioned volume ${name}`,
      );
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
    }
    return DONE;
  }

  #fail(claim: PersistentVolumeClaim, problem: string): undefined {
    const { storageClassName = '' } = claim.spec ?? {};
    const text = `failed to provision volume with StorageClass "${storageClassName}": ${problem}`;
    this.#deps.events.event(claim, 'Warning', 'ProvisioningFailed', text);
    return undefined;
  }
}

/** Removes volumes that nobody claims any more, with what they hold. Keys are volumes. */
class Remover implements Reconciler {
  readonly name = `${NAME}-removal`;
  readonly #deps: Deps;
  readonly #helpers: Helpers;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#helpers = new Helpers(deps);
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { volumes, nodes, options } = this.#deps;
    const volume = volumes.get(key);
    if (!volume) {
      await this.#helpers.remove('delete', key.name);
      return DONE;
    }
    // Without our finalizer it has been cleaned up: the cache only does not know yet that it is gone.
    if (!isOurs(volume, options) || !volume.metadata.finalizers?.includes(CLEANUP)) return DONE;
    if (!isUnclaimed(volume)) return DONE;
    if (volume.spec?.persistentVolumeReclaimPolicy !== 'Delete') {
      if (volume.metadata.deletionTimestamp) await this.#forget(volume);
      return DONE;
    }
    const { name } = key;
    const node = volume.metadata.annotations?.[ABOUT] ?? '';
    // A node that is gone has taken the directory with it.
    if (nodes.get({ namespace: '', name: node })) {
      const path = volume.spec?.hostPath?.path ?? '';
      const draft = helperPod('delete', { name, path, node, about: name }, options);
      const state = await this.#helpers.advance('delete', draft, name);
      if (state !== 'done') return { requeueAfterMs: state };
    }
    await this.#forget(volume);
    return DONE;
  }

  async #forget(volume: PersistentVolume): Promise<void> {
    const { client } = this.#deps;
    const { name, uid } = volume.metadata;
    const finalizers = (volume.metadata.finalizers ?? []).filter((one) => one !== CLEANUP);
    const changed = { ...volume, metadata: { ...volume.metadata, finalizers } };
    const written = await unlessGone(client.update(PERSISTENT_VOLUMES, changed));
    if (!written || volume.metadata.deletionTimestamp) return;
    const key = { namespace: '', name };
    await unlessGone(client.delete(PERSISTENT_VOLUMES, key, { preconditions: { uid } }));
  }
}

/** Nobody has it any more, or it is being deleted by hand while nobody has it. */
function isUnclaimed({ status, metadata }: PersistentVolume): boolean {
  const { phase = '' } = status ?? {};
  if (metadata.deletionTimestamp) return phase !== 'Bound';
  return phase === 'Released' || phase === 'Failed';
}

function keyOf({ metadata }: PersistentVolumeClaim): string {
  return keyString(metadata);
}
