import type { ObjectKey } from '../../api/resource-types.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { claimNamesOf } from '../pod-volumes.ts';
import { unlessGone } from '../unless-gone.ts';
import { classOf } from '../volume-class.ts';
import { BIND_COMPLETED, type Binding, BOUND_BY_CONTROLLER } from './binding.ts';
import { bestMatch, isFor, misfit } from './matching.ts';

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';
const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
const PROVISIONERS = [
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];
const LOST_REFERENCE =
  'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!';
const LOST_VOLUME = 'Bound claim has lost its PersistentVolume. Data on the volume is lost!';
const MISBOUND = 'Two claims are bound to the same volume, this one is bound incorrectly';

export interface ClaimDeps {
  readonly binding: Binding;
  claim(key: ObjectKey): PersistentVolumeClaim | undefined;
  volume(name: string): PersistentVolume | undefined;
  volumes(): PersistentVolume[];
  readonly classes: Lister<StorageClass>;
  readonly pods: Lister<Pod>;
}

/** Finds each claim its volume (upstream's syncClaim). */
export class ClaimReconciler implements Reconciler {
  readonly name = 'persistentvolume-binder-controller';
  readonly #deps: ClaimDeps;

  constructor(deps: ClaimDeps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const claim = this.#deps.claim(key);
    if (!claim?.spec) return DONE;
    const bound = claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;
    await unlessGone(bound ? this.#checkBound(claim) : this.#findVolume(claim));
    return DONE;
  }

  async #checkBound(claim: PersistentVolumeClaim): Promise<void> {
    const name = claim.spec?.volumeName;
    if (!name) return this.#lose(claim, 'ClaimLost', LOST_REFERENCE);
    const volume = this.#deps.volume(name);
    if (!volume) return this.#lose(claim, 'ClaimLost', LOST_VOLUME);
    const taken = volume.spec?.claimRef && !isFor(volume, claim);
    if (taken) return this.#lose(claim, 'ClaimMisbound', MISBOUND);
    return this.#deps.binding.bind(volume, claim);
  }

  async #lose(claim: PersistentVolumeClaim, reason: string, message: string): Promise<void> {
    const notice = { type: 'Warning', reason, message } as const;
    await this.#deps.binding.claimPhase(claim, 'Lost', { notice });
  }

  async #findVolume(claim: PersistentVolumeClaim): Promise<void> {
    if (claim.metadata.deletionTimestamp) return;
    if (claim.spec?.volumeName) return this.#takeNamed(claim, claim.spec.volumeName);
    const { binding } = this.#deps;
    const classed = await this.#withClass(claim);
    const waits = this.#waitsForConsumer(classed);
    const volume = bestMatch(this.#deps.volumes(), classed, waits);
    if (volume) return binding.bind(volume, classed);
    if (waits) this.#tellWaiting(classed);
    else if (classOf(classed) !== '') {
      await this.#provision(classed);
      return;
    } else {
      const message = 'no persistent volumes available for this claim and no storage class is set';
      binding.tell(classed, { type: 'Normal', reason: 'FailedBinding', message });
    }
    await binding.claimPhase(classed, 'Pending');
  }

  /** A claim made before there was a default class gets it now (KEP-3333). */
  async #withClass(claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim> {
    if (claim.spec?.storageClassName !== undefined || classOf(claim) !== '') return claim;
    const [newest] = this.#deps.classes
      .list()
      .filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === 'true')
      .sort((a, b) => Number(a.metadata.creationTimestamp < b.metadata.creationTimestamp) - 0.5);
    return newest ? this.#deps.binding.assignClass(claim, newest.metadata.name) : claim;
  }

  #waitsForConsumer(claim: PersistentVolumeClaim): boolean {
    const found = this.#deps.classes.get({ namespace: '', name: classOf(claim) });
    const selected = claim.metadata.annotations?.[SELECTED_NODE] !== undefined;
    return found?.volumeBindingMode === 'WaitForFirstConsumer' && !selected;
  }

  #tellWaiting(claim: PersistentVolumeClaim): void {
    const { namespace, name } = claim.metadata;
    const user = this.#deps.pods
      .list(namespace)
      .find((pod) => !pod.spec?.nodeName && claimNamesOf(pod).includes(name));
    const [reason, message] = user
      ? ['WaitForPodScheduled', `waiting for pod ${user.metadata.name} to be scheduled`]
      : ['WaitForFirstConsumer', 'waiting for first consumer to be created before binding'];
    this.#deps.binding.tell(claim, { type: 'Normal', reason, message });
  }

  /** Makes the claim known to its provisioner, which makes the volume. */
  async #provision(claim: PersistentVolumeClaim): Promise<void> {
    const { binding, classes } = this.#deps;
    const name = classOf(claim);
    const found = classes.get({ namespace: '', name });
    const failed = (message: string) =>
      binding.tell(claim, { type: 'Warning', reason: 'ProvisioningFailed', message });
    if (!found) failed(`storageclass.storage.k8s.io "${name}" not found`);
    else if (found.provisioner.startsWith('kubernetes.io/')) {
      failed(`no volume plugin matched name: ${found.provisioner}`);
    } else {
      const named = Object.fromEntries(PROVISIONERS.map((key) => [key, found.provisioner]));
      const asked = await binding.annotateClaim(claim, named);
      const message = `Waiting for a volume to be created either by the external provisioner '${found.provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
      binding.tell(asked, { type: 'Normal', reason: 'ExternalProvisioning', message });
      await binding.claimPhase(asked, 'Pending');
      return;
    }
    await binding.claimPhase(claim, 'Pending');
  }

  async #takeNamed(claim: PersistentVolumeClaim, name: string): Promise<void> {
    const { binding } = this.#deps;
    const volume = this.#deps.volume(name);
    const pending = async () => void (await binding.claimPhase(claim, 'Pending'));
    if (!volume) return pending();
    const warn = (reason: string, message: string) =>
      binding.tell(claim, { type: 'Warning', reason, message });
    if (!volume.spec?.claimRef) {
      const problem = misfit(volume, claim);
      if (problem === undefined) return binding.bind(volume, claim);
      warn('VolumeMismatch', `Cannot bind to requested volume "${name}": ${problem}`);
      return pending();
    }
    if (isFor(volume, claim)) return binding.bind(volume, claim);
    const byController = claim.metadata.annotations?.[BOUND_BY_CONTROLLER] !== undefined;
    if (byController) {
      throw new Error(`Volume ${name} of claim ${claim.metadata.name} is bound to another claim`);
    }
    warn('FailedBinding', `volume "${name}" already bound to a different claim.`);
    return pending();
  }
}
