import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { timeString } from '../api/times.ts';
import type { Clock } from '../util/clock.ts';
import { errnoOf } from '../util/errors.ts';
import type { PullSecret } from './pull-credentials.ts';
import type { Image } from './runtime/runtime.ts';

/** imagePullCredentialsVerificationPolicy. */
export type VerificationPolicy = 'NeverVerify' | 'NeverVerifyPreloadedImages' | 'AlwaysVerify';

/** By whose credentials an image was pulled; the form is upstream's (ImagePulledRecord). */
interface PulledRecord {
  kind: 'ImagePulledRecord';
  apiVersion: 'kubelet.config.k8s.io/v1beta1';
  lastUpdatedTime: string;
  imageRef: string;
  /** By the image's name without tag and digest. */
  credentialMapping: Record<string, PulledBy>;
}

interface PulledBy {
  /** It could be pulled without any. */
  nodePodsAccessible?: boolean;
  kubernetesSecrets?: UsedSecret[];
}

interface UsedSecret {
  uid: string;
  namespace: string;
  name: string;
  credentialHash: string;
}

export interface PullRecordsDeps {
  clock: Clock;
  /** --root-dir. */
  rootDir: string;
  policy: VerificationPolicy;
}

/**
 * Remembers with whose credentials images came here, so that no pod uses a private one that is here only because another
 * pod could pull it (KEP-2535).
 */
export class PullRecords {
  readonly #deps: PullRecordsDeps;

  constructor(deps: PullRecordsDeps) {
    this.#deps = deps;
  }

  /** Whether a pod with these credentials may use an image that is here without asking its registry. */
  async mayUse(name: string, image: Image, secrets: readonly PullSecret[]): Promise<boolean> {
    const { policy } = this.#deps;
    if (policy === 'NeverVerify') return true;
    const record = await this.#load(image.id);
    const pulledBy = record?.credentialMapping[bareName(name)];
    if (!pulledBy) {
      if (policy === 'AlwaysVerify') return false;
      // Under this name nobody pulled it: it was put here. By its id alone a pulled one stays what it is.
      return !record || [...image.repoTags, ...image.repoDigests].includes(name);
    }
    if (pulledBy.nodePodsAccessible) return true;
    return secrets.some((secret) => {
      const own = usedSecret(secret);
      return (pulledBy.kubernetesSecrets ?? []).some(
        (used) => used.credentialHash === own.credentialHash || isSameSecret(used, own),
      );
    });
  }

  /** The image was pulled with this secret, or without any. */
  async pulled(name: string, imageRef: string, secret: PullSecret | undefined): Promise<void> {
    const { clock } = this.#deps;
    const record = await this.#load(imageRef);
    const mapping = record?.credentialMapping ?? {};
    const before = mapping[bareName(name)] ?? {};
    const next: PulledRecord = {
      kind: 'ImagePulledRecord',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      lastUpdatedTime: timeString(clock.now()),
      imageRef,
      credentialMapping: { ...mapping, [bareName(name)]: withSecret(before, secret) },
    };
    await this.#save(next);
  }

  /** The image is not here any more. */
  async removed(imageRef: string): Promise<void> {
    await rm(this.#path(imageRef), { force: true });
  }

  async #load(imageRef: string): Promise<PulledRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#path(imageRef), 'utf8')) as PulledRecord;
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return undefined;
      throw err;
    }
  }

  async #save(record: PulledRecord): Promise<void> {
    const path = this.#path(record.imageRef);
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  #path(imageRef: string): string {
    return join(this.#deps.rootDir, 'image_manager', 'pulled', `sha256-${sha256(imageRef)}`);
  }
}

function withSecret(before: PulledBy, secret: PullSecret | undefined): PulledBy {
  if (!secret) return { nodePodsAccessible: true };
  if (before.nodePodsAccessible) return before;
  const own = usedSecret(secret);
  const others = (before.kubernetesSecrets ?? []).filter((used) => !isSameSecret(used, own));
  return { kubernetesSecrets: [...others, own] };
}

function usedSecret({ source, auth }: PullSecret): UsedSecret {
  return { ...source, credentialHash: sha256(JSON.stringify(auth)) };
}

const isSameSecret = (a: UsedSecret, b: UsedSecret): boolean =>
  a.uid === b.uid && a.namespace === b.namespace && a.name === b.name;

/** `host:5000/team/app:1@sha256:…` without tag and digest. */
export const bareName = (image: string): string =>
  image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
