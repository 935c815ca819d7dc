import { type IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { statusOf, writeError } from '../http/errors.ts';
import { refuseUpgrade, type UpgradeRequest } from '../http/upgrade.ts';
import type { Logger } from '../util/log.ts';
import type { Authenticator } from './authn/authenticator.ts';
import { impersonated } from './authn/impersonation.ts';
import type { Authorizer } from './authz/authorizer.ts';
import { ANONYMOUS, type Exchange, type Handler, setWarnings } from './exchange.ts';
import type { FlowControl } from './flow-control/flow-control.ts';
import { forbidden } from './forbidden.ts';
import type { ServerMetrics } from './metrics.ts';
import { parseRequestInfo } from './request-info.ts';
import { asApiError } from './storage-errors.ts';

export interface ChainDeps {
  readonly authenticators: readonly Authenticator[];
  readonly authorizers: readonly Authorizer[];
  readonly flowControl: Pick<FlowControl, 'admit'>;
  readonly handler: Handler;
  readonly metrics: ServerMetrics;
  readonly log: Logger;
}

/** The way of every request: request info → authenticate → impersonate → flow control → authorize → handler. Whatever a stage throws becomes the answer. */
export class HandlerChain {
  readonly #deps: ChainDeps;

  constructor(deps: ChainDeps) {
    this.#deps = deps;
  }

  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const exchange = begin(req, res);
    const done = this.#deps.metrics.began(exchange);
    try {
      exchange.user = await this.identify(req);
      await this.#serve(exchange);
    } catch (err) {
      this.#fail(exchange, err);
    } finally {
      done();
    }
  }

  /** A request to upgrade its connection: exec, attach, port-forward, proxy. */
  async handleUpgrade(upgrade: UpgradeRequest): Promise<void> {
    const { req, socket } = upgrade;
    const exchange: Exchange = { ...begin(req, new ServerResponse(req)), upgrade };
    const done = this.#deps.metrics.began(exchange);
    try {
      exchange.user = await this.identify(req);
      await this.#serve(exchange);
    } catch (err) {
      const status = statusOf(err);
      const body = JSON.stringify(status);
      const { code = 500 } = status;
      refuseUpgrade(socket, { code, contentType: 'application/json', body });
    } finally {
      done();
    }
  }

  async #serve(exchange: Exchange): Promise<void> {
    const release = await this.#deps.flowControl.admit(exchange);
    try {
      await this.authorize(exchange);
      await this.#deps.handler(exchange);
    } finally {
      release();
    }
  }

  /** Who asks, or who they may ask as. */
  async identify(req: IncomingMessage): Promise<Exchange['user']> {
    const user = await this.authenticate(req);
    return impersonated(user, req.headers, this.#deps.authorizers);
  }

  async authenticate(req: IncomingMessage): Promise<Exchange['user']> {
    for (const authenticator of this.#deps.authenticators) {
      const user = await authenticator.authenticate(req);
      if (user) return user;
    }
    return ANONYMOUS;
  }

  async authorize({ user, info }: Exchange): Promise<void> {
    let why = '';
    for (const authorizer of this.#deps.authorizers) {
      const { decision, reason } = await authorizer.authorize(user, info);
      if (decision === 'allow') return;
      if (reason) why = reason;
      if (decision === 'deny') break;
    }
    throw forbidden(user, info, why);
  }

  #fail(exchange: Exchange, thrown: unknown): void {
    const { req, res, info, user } = exchange;
    const err = asApiError(thrown);
    if (!(err instanceof ApiError) && !res.destroyed) {
      const fields = { verb: info.verb, path: info.path, user: user.name, err };
      this.#deps.log.error(fields, 'Request failed');
    }
    if (res.destroyed) return;
    setWarnings(exchange);
    writeError(res, err);
    // What the client still sends must not block the connection.
    req.resume();
  }
}

/** The request with what its line says. */
export function begin(req: IncomingMessage, res: ServerResponse): Exchange {
  const url = req.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const info = parseRequestInfo(req.method ?? 'GET', path, query);
  return { req, res, query, info, user: ANONYMOUS, warnings: [] };
}
