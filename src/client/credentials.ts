import { readFile, stat } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '../util/clock.ts';
import type { ClusterAccess, Material } from './kubeconfig.ts';

/** Files are looked at again when they were last looked at this long ago; upstream re-reads tokens each minute. */
const RECHECK_MS = 60_000;

/** The connections and headers that make this process known to the server; follows rotated files. */
export class Credentials {
  readonly #access: ClusterAccess;
  readonly #clock: Clock;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #stamp = '';
  #agent: HttpAgent | undefined;
  #headers: Record<string, string> = {};
  #checking: Promise<void> | undefined;
  #refused = false;

  constructor(access: ClusterAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  async current(): Promise<{ agent: HttpAgent; headers: Record<string, string> }> {
    if (!this.#agent || this.#clock.now() - this.#checkedAt >= RECHECK_MS) {
      this.#checking ??= this.#check().finally(() => {
        this.#checking = undefined;
      });
      await this.#checking;
    }
    if (!this.#agent) throw new Error('Credentials are not loaded');
    return { agent: this.#agent, headers: this.#headers };
  }

  /** The server did not take them: they are looked at anew before the next request. */
  refused(): void {
    this.#refused = true;
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  /** Cuts every connection. */
  close(): void {
    this.#agent?.destroy();
  }

  async #check(): Promise<void> {
    const { ca, certificate, key, token } = this.#access;
    const refused = this.#refused;
    this.#refused = false;
    const provided = token && 'provide' in token ? await token.provide(refused) : undefined;
    const stamps = await Promise.all([ca, certificate, key, token].map(stampOf));
    const stamp = [...stamps, provided].join(' ');
    this.#checkedAt = this.#clock.now();
    if (this.#agent && stamp === this.#stamp) return;
    const secret = (provided ?? (await read(token)))?.trim();
    // The old agent is left alone: destroying it would cut the requests under way. Its idle sockets end
    // when the server closes them.
    this.#agent = await this.#connect();
    this.#headers = secret ? { authorization: `Bearer ${secret}` } : {};
    this.#stamp = stamp;
  }

  async #connect(): Promise<HttpAgent> {
    const { server, tlsServerName, insecureSkipTlsVerify } = this.#access;
    const keepAlive = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4 };
    if (server.startsWith('http:')) return new HttpAgent(keepAlive);
    const [ca, cert, key] = await Promise.all(
      [this.#access.ca, this.#access.certificate, this.#access.key].map(read),
    );
    return new HttpsAgent({
      ...keepAlive,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
      ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    });
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
