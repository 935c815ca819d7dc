import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyAndCertificate } from '../../pki/ca.ts';
import { errnoOf } from '../../util/errors.ts';

/**
 * Where a kubelet keeps a certificate that it renews: `NAME-DATE.pem`, key and certificate in one file, and the link
 * `NAME-current.pem` to the newest (upstream's certificate file store).
 */
export class CertificateFiles {
  readonly current: string;
  readonly #directory: string;
  readonly #name: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.current = join(directory, `${name}-current.pem`);
  }

  /** Undefined: there is none yet. */
  async load(): Promise<KeyAndCertificate | undefined> {
    try {
      return splitPem(await readFile(this.current, 'utf8'));
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return undefined;
      throw err;
    }
  }

  /** Readers of the link see the old pair or the new one, never half of each. */
  async store({ certificate, key }: KeyAndCertificate, now: number): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const stamp = new Date(now).toISOString().replaceAll(':', '-').slice(0, 23);
    const file = `${this.#name}-${stamp}.pem`;
    await writeFile(join(this.#directory, file), certificate + key, { mode: 0o600 });
    const link = `${this.current}.tmp`;
    await rm(link, { force: true });
    await symlink(file, link);
    await rename(link, this.current);
  }
}

const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----\n?/;

function splitPem(text: string): KeyAndCertificate {
  const key = KEY.exec(text)?.[0];
  if (key === undefined) throw new Error('The certificate file holds no private key');
  return { key, certificate: text.replace(KEY, '') };
}
