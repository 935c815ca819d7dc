import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../../util/errors.ts';
import type { ClaimRef, PreparedDevice } from './dra-driver.ts';

/** A claim that drivers were asked to make ready, and not to give up since. */
export interface PreparedClaim extends ClaimRef {
  /** Pods that use it here, by uid. */
  readonly pods: readonly string[];
  /** What each of its drivers made ready; undefined while that is not known. */
  readonly drivers: Readonly<Record<string, readonly PreparedDevice[] | null>>;
}

/** What was made ready, in one file: a restarted kubelet must have it given up. */
export class ClaimState {
  readonly #file: string;
  #claims: readonly PreparedClaim[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Reads what an earlier kubelet wrote; throws when it cannot be understood. */
  open(): void {
    try {
      this.#claims = JSON.parse(readFileSync(this.#file, 'utf8')) as PreparedClaim[];
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return;
      const remedy = 'remove it once no pod with resource claims runs here';
      throw new Error(`${this.#file} cannot be read; ${remedy}`, { cause: err });
    }
  }

  list(): readonly PreparedClaim[] {
    return this.#claims;
  }

  get(uid: string): PreparedClaim | undefined {
    return this.#claims.find((one) => one.uid === uid);
  }

  byName(namespace: string, name: string): PreparedClaim | undefined {
    return this.#claims.find((one) => one.namespace === namespace && one.name === name);
  }

  /** On disk when it returns. A claim that no pod uses is none any more. */
  put(claim: PreparedClaim): void {
    const others = this.#claims.filter((one) => one.uid !== claim.uid);
    const claims = claim.pods.length > 0 ? [...others, claim] : others;
    const next = `${this.#file}.new`;
    writeFileSync(next, JSON.stringify(claims), { mode: 0o600 });
    renameSync(next, this.#file);
    this.#claims = claims;
  }
}
