import { readFile } from 'node:fs/promises';
import type { Client } from '../client/client.ts';
import { followFiles } from '../http/follow-files.ts';
import type { KeyAndCertificate } from '../pki/ca.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { KubeletConfiguration } from './config.ts';
import { type IdentityOptions, rotateServingCertificate, selfSignedServing } from './identity.ts';
import type { ServingCertificate } from './kubelet-server.ts';

interface Deps {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The files that the configuration names, or a certificate of the kubelet's own making. Changed files count at once. */
export async function filedServing(
  { certDir }: IdentityOptions,
  { tlsCertFile, tlsPrivateKeyFile }: KubeletConfiguration,
  { clock, log }: Deps,
): Promise<ServingCertificate> {
  const files =
    tlsCertFile === '' && tlsPrivateKeyFile === ''
      ? await selfSignedServing(certDir, clock.now())
      : { certificate: tlsCertFile, key: tlsPrivateKeyFile };
  const names = [files.certificate, files.key];
  let known: string[] | undefined;
  return {
    async first() {
      known = await Promise.all(names.map((name) => readFile(name, 'utf8')));
      return pairOf(known);
    },
    follow: (use, signal) =>
      followFiles(
        names,
        {
          known,
          onChange: (texts) => use(pairOf(texts)),
          onError: (err) => log.error({ err: errorMessage(err) }, 'Could not use new certificate'),
        },
        signal,
      ),
  };
}

function pairOf([certificate = '', key = '']: readonly string[]): KeyAndCertificate {
  return { certificate, key };
}

/** A certificate that the cluster signs. Nothing is served before somebody has approved it. */
export function issuedServing(identity: IdentityOptions, deps: Deps): ServingCertificate {
  const first = Promise.withResolvers<KeyAndCertificate>();
  let changed = (pair: KeyAndCertificate): void => first.resolve(pair);
  let rotating: Promise<void> | undefined;
  return {
    first(signal) {
      const onChange = (pair: KeyAndCertificate) => changed(pair);
      rotating = rotateServingCertificate(identity, { ...deps, onChange }, signal);
      const stopped = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      return Promise.race([first.promise, stopped]);
    },
    async follow(use) {
      changed = use;
      await rotating;
    },
  };
}
