import { request } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../util/clock.ts';
import { aborted } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';

/** What is known of an API server: `ready` takes connections, `leaving` keeps those it has, `dead` loses them. */
export type ServerState = 'ready' | 'leaving' | 'dead';

export interface BalancerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks a server how it is. */
  readonly ask?: (address: string) => Promise<ServerState>;
}

const ASK_EVERY_MS = 1000;
const ANSWER_WITHIN_MS = 2000;
const CONNECT_WITHIN_MS = 1000;
// One late answer is no death: a busy machine gives those too.
const SILENT_UNTIL_DEAD = 2;
const MOST_FORMER = 8;

/**
 * Stands between the components of one node and all API servers, so that no single address can fail: takes connections
 * on the loopback and hands each to a server that is ready. It does not look inside; TLS goes from end to end.
 */
export class Balancer {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ask: (address: string) => Promise<ServerState>;
  readonly #servers = new Map<string, { state: ServerState; silent: number; open: Set<Socket> }>();
  /** Servers that were in use, those that were last. */
  #former: string[] = [];
  #next = 0;

  constructor({ clock, log, ask = askReadiness }: BalancerDeps, servers: readonly string[]) {
    this.#clock = clock;
    this.#log = log;
    this.#ask = ask;
    this.useServers(servers);
  }

  /**
   * The servers that there are from now on, `HOST:PORT`; connections to others go on. None at all: as before. Those that were
   * there before are turned to when none of these can be had: who had only lost touch for a moment is back before anybody
   * could say so, if the one server of the list is the next to go.
   */
  useServers(addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    const left = [...this.#servers.keys()].filter((address) => !addresses.includes(address));
    for (const address of left) this.#servers.delete(address);
    this.#former = [...left, ...this.#former.filter((address) => !addresses.includes(address))];
    this.#former.splice(MOST_FORMER);
    for (const address of addresses) {
      if (this.#servers.has(address)) continue;
      this.#servers.set(address, { state: 'ready', silent: 0, open: new Set() });
    }
  }

  /** The servers in use, and behind them the former ones. */
  get everyServer(): string[] {
    return [...this.#servers.keys(), ...this.#former];
  }

  get servers(): { address: string; state: ServerState }[] {
    return [...this.#servers].map(([address, { state }]) => ({ address, state }));
  }

  /** Listens until aborted. */
  async run(
    { host, port }: { host: string; port: number },
    signal: AbortSignal,
    listening: (port: number) => void = () => {},
  ): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => void this.#serve(socket));
    await listen(server, host, port);
    listening((server.address() as { port: number }).port);
    const asking = this.#keepAsking(signal);
    await aborted(signal);
    server.close();
    for (const { open } of this.#servers.values()) for (const socket of open) socket.destroy();
    await asking;
  }

  async #serve(client: Socket): Promise<void> {
    client.on('error', () => client.destroy());
    for (const address of this.#inTurn()) {
      const server = await tryConnect(address, CONNECT_WITHIN_MS);
      if (server === undefined) continue;
      if (client.destroyed) return void server.destroy();
      return this.#join(client, server, address);
    }
    client.destroy();
  }

  #join(client: Socket, server: Socket, address: string): void {
    const open = this.#servers.get(address)?.open;
    open?.add(server);
    server.on('error', () => server.destroy());
    server.once('close', () => {
      open?.delete(server);
      client.destroy();
    });
    client.once('close', () => server.destroy());
    for (const socket of [client, server]) socket.setNoDelay(true);
    client.pipe(server);
    server.pipe(client);
    client.resume();
  }

  /** Those that are ready first, each time from another on; the rest, former ones too, only when there are no others. */
  #inTurn(): string[] {
    const all = this.servers;
    const from = this.#next++ % Math.max(1, all.length);
    const turned = [...all.slice(from), ...all.slice(0, from)];
    const of = (wanted: ServerState) => turned.filter(({ state }) => state === wanted);
    const listed = [...of('ready'), ...of('leaving'), ...of('dead')].map(({ address }) => address);
    return [...listed, ...this.#former];
  }

  async #keepAsking(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await Promise.all([...this.#servers.keys()].map((address) => this.#examine(address)));
      await this.#clock.sleep(ASK_EVERY_MS, signal).catch(() => {});
    }
  }

  async #examine(address: string): Promise<void> {
    const answer = await this.#ask(address);
    const server = this.#servers.get(address);
    if (!server) return;
    server.silent = answer === 'dead' ? server.silent + 1 : 0;
    const state = answer === 'dead' && server.silent < SILENT_UNTIL_DEAD ? 'leaving' : answer;
    if (state !== server.state) this.#log.info({ address, state }, 'An API server has changed');
    server.state = state;
    // Nobody tells the other end of a connection that its server's cable was cut: it would wait for minutes.
    if (state === 'dead') for (const socket of server.open) socket.destroy();
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function hostAndPort(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** Undefined: it does not take connections, or not in time. */
function tryConnect(address: string, timeoutMs: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(hostAndPort(address));
    const fail = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(timeoutMs, fail);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** A server that answers no strangers serves those whom it knows. Pure. */
export function isServing(status = 0): boolean {
  return [200, 401, 403].includes(status);
}

/** Nothing secret is asked or told, so the server need not prove who it is: components make sure of that themselves. */
function askReadiness(address: string): Promise<ServerState> {
  return new Promise((resolve) => {
    const asking = request(
      { ...hostAndPort(address), path: '/readyz', rejectUnauthorized: false, agent: false },
      (response) => {
        response.resume();
        resolve(isServing(response.statusCode) ? 'ready' : 'leaving');
      },
    );
    const late = setTimeout(() => asking.destroy(new Error('no answer')), ANSWER_WITHIN_MS);
    asking.once('error', () => resolve('dead'));
    asking.once('close', () => clearTimeout(late));
    asking.end();
  });
}
