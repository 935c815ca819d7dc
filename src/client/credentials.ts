import { readFile, stat } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '../util/clock.ts';
import type { ClusterAccess, Material } from './kubeconfig.ts';

/** Files are looked at again when they were last looked at this long ago; upstream re-reads tokens each minute. */
const RECHECK_MS = 60_000;

/**
 * Requests wait for a connection rather than open one more: a handshake costs both sides more than a request. Enough of
 * them that many writes reach the store together.
 */
const MAX_CONNECTIONS = 16;
const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 30_000 };

/** Watches have connections of their own, so that no number of them keeps a request waiting. */
export interface Agents {
  readonly requests: HttpAgent;
  readonly watches: HttpAgent;
}

/** The connections and headers that make this process known to the server; follows rotated files. */
export class Credentials {
  readonly #access: ClusterAccess;
  readonly #clock: Clock;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #stamp = '';
  #agents: Agents | undefined;
  #headers: Record<string, string> = {};
  #checking: Promise<void> | undefined;
  #refused = false;

  constructor(access: ClusterAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  async current(): Promise<{ agents: Agents; headers: Record<string, string> }> {
    if (!this.#agents || this.#clock.now() - this.#checkedAt >= RECHECK_MS) {
      this.#checking ??= this.#check().finally(() => {
        this.#checking = undefined;
      });
      await this.#checking;
    }
    if (!this.#agents) throw new Error('Credentials are not loaded');
    return { agents: this.#agents, headers: this.#headers };
  }

  /** The server did not take them: they are looked at anew before the next request. */
  refused(): void {
    this.#refused = true;
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  /** Cuts every connection. */
  close(): void {
    this.#agents?.requests.destroy();
    this.#agents?.watches.destroy();
  }

  async #check(): Promise<void> {
    const { ca, certificate, key, token } = this.#access;
    const refused = this.#refused;
    this.#refused = false;
    const provided = token && 'provide' in token ? await token.provide(refused) : undefined;
    const stamps = await Promise.all([ca, certificate, key, token].map(stampOf));
    const stamp = [...stamps, provided].join(' ');
    this.#checkedAt = this.#clock.now();
    // A server judges a certificate when a connection begins: what it did not believe then may be believed on a new one.
    if (this.#agents && stamp === this.#stamp && !refused) return;
    const secret = (provided ?? (await read(token)))?.trim();
    // The old agents are left alone: destroying them would cut the requests under way. Their idle sockets end
    // when the server closes them.
    this.#agents = await this.#connect();
    this.#headers = secret ? { authorization: `Bearer ${secret}` } : {};
    this.#stamp = stamp;
  }

  async #connect(): Promise<Agents> {
    const { server, tlsServerName, insecureSkipTlsVerify } = this.#access;
    const requests = {
      ...KEEP_ALIVE,
      maxSockets: MAX_CONNECTIONS,
      maxFreeSockets: MAX_CONNECTIONS,
    };
    if (server.startsWith('http:'))
      return { requests: new HttpAgent(requests), watches: new HttpAgent(KEEP_ALIVE) };
    const [ca, cert, key] = await Promise.all(
      [this.#access.ca, this.#access.certificate, this.#access.key].map(read),
    );
    const tls = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
      ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    };
    return {
      requests: new HttpsAgent({ ...requests, ...tls }),
      watches: new HttpsAgent({ ...KEEP_ALIVE, ...tls }),
    };
  }
}

async function read(material: Material | undefined): Promise<string | undefined> {
  if (!material || 'provide' in material) return undefined;
  return 'data' in material ? material.data : await readFile(material.file, 'utf8');
}

async function stampOf(material: Material | undefined): Promise<string> {
  if (!material || !('file' in material)) return '';
  const facts = await stat(material.file);
  return `${facts.mtimeMs}/${facts.size}/${facts.ino}`;
}
