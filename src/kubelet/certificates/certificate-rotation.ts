import type { KeyAndCertificate } from '../../pki/ca.ts';
import { isOfOlderAuthority, readCertificate } from '../../pki/certificate.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { CertificateFiles } from './certificate-files.ts';

/** A text that may change. */
export interface AuthorityText {
  current(): string;
  onChange(listener: () => void): void;
}

export interface RotationDeps {
  readonly files: CertificateFiles;
  /** Gets a new one from the cluster. */
  readonly request: (signal: AbortSignal) => Promise<KeyAndCertificate>;
  readonly clock: Clock;
  readonly log: Logger;
  /** The authorities that the cluster believes: when a newer one comes, the next certificate is asked for at once. */
  readonly authority?: AuthorityText | undefined;
  /** Called with the certificate that counts from now on, the first one included. */
  readonly onChange?: (pair: KeyAndCertificate) => void;
}

const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 5 * 60_000;
const LAST_OUTDATED_MS = 60 * 60_000;

/** Keeps one certificate of the kubelet good: asks for the next one long before the end of this one. */
export class CertificateRotation {
  readonly #deps: RotationDeps;

  constructor(deps: RotationDeps) {
    this.#deps = deps;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { files, clock, onChange, authority } = this.#deps;
    let pair = await files.load();
    if (pair) onChange?.(pair);
    let changed = new AbortController();
    authority?.onChange(() => changed.abort());
    // A signer that still signs as before is asked ever more seldom.
    let delay = 0;
    while (!signal.aborted) {
      changed = new AbortController();
      const isOutdated = this.#isOutdated(pair);
      if (!isOutdated) delay = 0;
      const wait = this.#untilRegular(pair);
      try {
        const until = AbortSignal.any([signal, changed.signal]);
        await sleepLong(clock, isOutdated ? Math.min(delay, wait) : wait, until);
        pair = await this.#renew(signal);
        delay = Math.min(Math.max(delay * 2, FIRST_RETRY_MS), LAST_OUTDATED_MS);
        onChange?.(pair);
      } catch (err) {
        if (!signal.aborted && !changed.signal.aborted) throw err;
      }
    }
  }

  /** Milliseconds; not above 0: now. */
  #untilRegular(pair: KeyAndCertificate | undefined): number {
    return pair ? rotationTime(pair.certificate, Math.random()) - this.#deps.clock.now() : 0;
  }

  #isOutdated(pair: KeyAndCertificate | undefined): boolean {
    const believed = this.#deps.authority?.current();
    if (pair === undefined || believed === undefined) return false;
    return isOfOlderAuthority(pair.certificate, believed);
  }

  async #renew(signal: AbortSignal): Promise<KeyAndCertificate> {
    const { files, request, clock, log } = this.#deps;
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(delay * 2, LAST_RETRY_MS)) {
      try {
        const pair = await request(signal);
        await files.store(pair, clock.now());
        log.info({ file: files.current }, 'Got a certificate');
        return pair;
      } catch (err) {
        signal.throwIfAborted();
        log.warn({ file: files.current, err: errorMessage(err) }, 'Could not get a certificate');
        await clock.sleep(delay, signal);
      }
    }
  }
}

// A timer holds 24 days; a certificate lives for a year.
const MAX_SLEEP_MS = 24 * 60 * 60 * 1000;

async function sleepLong(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const end = clock.now() + ms;
  for (let left = ms; left > 0; left = end - clock.now()) {
    await clock.sleep(Math.min(left, MAX_SLEEP_MS), signal);
  }
}

/**
 * When to renew: after 70 to 90 % of its life, as `jitter` (0 to 1) says, so that nodes do not all come at once.
 * Milliseconds since the epoch.
 */
export function rotationTime(certificate: string, jitter: number): number {
  const { notBefore, notAfter } = readCertificate(certificate);
  const life = notAfter.getTime() - notBefore.getTime();
  return notBefore.getTime() + life * (0.7 + 0.2 * jitter);
}

/** Good for at least a moment longer. */
export function isStillGood(certificate: string, now: number): boolean {
  try {
    return readCertificate(certificate).notAfter.getTime() > now;
  } catch {
    return false;
  }
}
