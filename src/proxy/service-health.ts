import { createServer, type Server } from 'node:http';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { ProxyState } from './model.ts';

interface Checked {
  readonly namespace: string;
  readonly name: string;
  readonly localEndpoints: number;
}

/** How many ready endpoints each health check node port's service has on this node. Pure. */
export function healthCheckPorts(states: Iterable<ProxyState>): Map<number, Checked> {
  const ports = new Map<number, Checked>();
  for (const { services } of states) {
    for (const { healthCheckNodePort, namespace, service, localReady } of services.values()) {
      if (healthCheckNodePort === 0) continue;
      const others = ports.get(healthCheckNodePort)?.localEndpoints ?? 0;
      // Several ports of one service have the same Pods behind them.
      const localEndpoints = Math.max(others, localReady);
      ports.set(healthCheckNodePort, { namespace, name: service, localEndpoints });
    }
  }
  return ports;
}

/**
 * Answers load balancers that ask a service's healthCheckNodePort whether this node has endpoints of it:
 * 200 or 503, with the number as weight.
 */
export class ServiceHealthServer {
  readonly #deps: { log: Logger; healthy: () => boolean };
  readonly #servers = new Map<number, Server>();
  #checked = new Map<number, Checked>();

  constructor(deps: { log: Logger; healthy: () => boolean }) {
    this.#deps = deps;
  }

  /** Listens on the ports of `states`, and no longer on others. */
  update(states: Iterable<ProxyState>): void {
    this.#checked = healthCheckPorts(states);
    for (const [port, server] of this.#servers) {
      if (this.#checked.has(port)) continue;
      this.#servers.delete(port);
      server.close();
      server.closeAllConnections();
    }
    for (const port of this.#checked.keys()) {
      if (!this.#servers.has(port)) this.#listen(port);
    }
  }

  close(): void {
    this.#checked.clear();
    this.update([]);
  }

  #listen(port: number): void {
    const server = createServer((_request, response) => {
      const checked = this.#checked.get(port);
      const serviceProxyHealthy = this.#deps.healthy();
      const { namespace = '', name = '', localEndpoints = 0 } = checked ?? {};
      response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(localEndpoints),
      });
      const service = { namespace, name };
      response.end(JSON.stringify({ service, localEndpoints, serviceProxyHealthy }));
    });
    server.once('error', (err) => {
      this.#servers.delete(port); // The next sync tries again.
      this.#deps.log.error({ port, err: errorMessage(err) }, 'Could not serve a health check port');
    });
    this.#servers.set(port, server);
    server.listen(port);
  }
}
