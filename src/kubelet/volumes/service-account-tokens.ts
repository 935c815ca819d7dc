import { SERVICE_ACCOUNTS } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import type { TokenSource } from './projection.ts';

interface Held {
  token: string;
  renewAt: number;
  cancel: () => void;
}

const DAY_MS = 24 * 3600 * 1000;
const DEFAULT_SECONDS = 3600;

/**
 * Service account tokens of the pods here, bound to them. A token is asked for anew when four fifths of its life are
 * over or it is a day old; the pod is told then, so that its volume is written again.
 */
export class ServiceAccountTokens {
  readonly #deps: { client: Client; clock: Clock; onDue(podUid: string): void };
  readonly #held = new Map<string, Held>();

  constructor(deps: { client: Client; clock: Clock; onDue(podUid: string): void }) {
    this.#deps = deps;
  }

  async token(pod: Pod, source: TokenSource): Promise<string> {
    const { clock, client, onDue } = this.#deps;
    const { uid, name, namespace } = pod.metadata;
    const audience = source.audience ?? '';
    const seconds = source.expirationSeconds ?? DEFAULT_SECONDS;
    const id = `${uid}/${audience}/${seconds}`;
    const held = this.#held.get(id);
    if (held && clock.now() < held.renewAt) return held.token;
    const account = pod.spec?.serviceAccountName || 'default';
    const answer = (await client.createSubresource(
      SERVICE_ACCOUNTS,
      { namespace, name: account },
      'token',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: { name: account, namespace },
        spec: {
          audiences: audience === '' ? [] : [audience],
          expirationSeconds: seconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
        },
      },
    )) as { status?: { token: string; expirationTimestamp: string } };
    if (!answer.status) throw new Error('token request was answered without a token');
    const { token, expirationTimestamp } = answer.status;
    const life = Date.parse(expirationTimestamp) - clock.now();
    const renewIn = Math.min(life * 0.8, DAY_MS);
    held?.cancel();
    const cancel = clock.after(renewIn, () => onDue(uid));
    this.#held.set(id, { token, renewAt: clock.now() + renewIn, cancel });
    return token;
  }

  release(podUid: string): void {
    for (const [id, held] of this.#held) {
      if (!id.startsWith(`${podUid}/`)) continue;
      held.cancel();
      this.#held.delete(id);
    }
  }
}
