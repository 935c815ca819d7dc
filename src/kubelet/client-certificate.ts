import type { KeyAndCertificate } from '../pki/ca.ts';
import { isOfOlderAuthority } from '../pki/certificate.ts';
import type { AuthorityText } from './certificates/certificate-rotation.ts';

/** What the kubelet shows the API server now, for those who wait until it is of the newest authority. */
export class ClientCertificate {
  #certificate: string | undefined;
  readonly #waiting = new Set<() => void>();

  set({ certificate }: KeyAndCertificate): void {
    this.#certificate = certificate;
    for (const look of this.#waiting) look();
  }

  /** Resolves when no older authority than the newest one is needed to believe it. Rejects when aborted. */
  follows(authority: AuthorityText, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(look);
        signal.removeEventListener('abort', abort);
      };
      const look = (): void => {
        const certificate = this.#certificate;
        if (!certificate || isOfOlderAuthority(certificate, authority.current())) return;
        end();
        resolve();
      };
      const abort = (): void => {
        end();
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort);
      this.#waiting.add(look);
      if (signal.aborted) abort();
      else look();
    });
  }
}
