import { randomUUID } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { statusOf, writeError } from '../http/errors.ts';
import { turnAway } from '../http/turn-away.ts';
import { refuseUpgrade, type UpgradeRequest } from '../http/upgrade.ts';
import type { Logger } from '../util/log.ts';
import type { Auditor } from './auditor.ts';
import type { Authenticator } from './authn/authenticator.ts';
import { impersonated } from './authn/impersonation.ts';
import type { Authorizer } from './authz/authorizer.ts';
import { ANONYMOUS, type Exchange, type Handler, setWarnings } from './exchange.ts';
import type { FlowControl } from './flow-control/flow-control.ts';
import { forbidden } from './forbidden.ts';
import type { ServerMetrics } from './metrics.ts';
import { parseRequestInfo } from './request-info.ts';
import { asApiError, isStoreAway } from './storage-errors.ts';
import { Turns } from './turns.ts';

// Of a thousand requests that arrive together, so many begin before answers are written.
const REQUESTS_PER_TURN = 32;

export interface ChainDeps {
  readonly authenticators: readonly Authenticator[];
  readonly authorizers: readonly Authorizer[];
  readonly flowControl: Pick<FlowControl, 'admit'>;
  readonly handler: Handler;
  readonly metrics: ServerMetrics;
  /** Absent: nothing is recorded. */
  readonly auditor?: Auditor | undefined;
  readonly log: Logger;
}

/** The way of every request: request info → authenticate → impersonate → flow control → authorize → handler. Whatever a stage throws becomes the answer. */
export class HandlerChain {
  readonly #deps: ChainDeps;
  readonly #turns = new Turns(REQUESTS_PER_TURN);

  constructor(deps: ChainDeps) {
    this.#deps = deps;
  }

  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const arrived = this.#deps.metrics.now();
    // Nothing is made of a request before its turn: a thousand that are read at once must not hold up the event loop.
    await this.#turns.next();
    const exchange = begin(req, res);
    res.setHeader('Audit-Id', exchange.id);
    const done = this.#deps.metrics.began(exchange, arrived);
    try {
      await this.#admit(exchange);
      await this.#serve(exchange);
    } catch (err) {
      this.#fail(exchange, err);
    } finally {
      exchange.audit?.stage('ResponseComplete', res.statusCode);
      done();
    }
  }

  /** A request to upgrade its connection: exec, attach, port-forward, proxy. */
  async handleUpgrade(upgrade: UpgradeRequest): Promise<void> {
    const { req, socket } = upgrade;
    const exchange: Exchange = { ...begin(req, new ServerResponse(req)), upgrade };
    const done = this.#deps.metrics.began(exchange);
    let outcome = 101;
    try {
      await this.#admit(exchange);
      await this.#serve(exchange);
    } catch (err) {
      const status = statusOf(err);
      const body = JSON.stringify(status);
      const { code = 500 } = status;
      outcome = code;
      exchange.audit?.sawResponse(code, Buffer.from(body));
      refuseUpgrade(socket, { code, contentType: 'application/json', body });
    } finally {
      exchange.audit?.stage('ResponseComplete', outcome);
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

  /** Tells who asks, and who they may ask as. The record of the request begins here. */
  async #admit(exchange: Exchange): Promise<void> {
    const { auditor, authorizers } = this.#deps;
    const user = await this.#authenticate(exchange.req).catch((err: unknown) => {
      exchange.audit = auditor?.begin(exchange, NOBODY, undefined);
      throw err;
    });
    exchange.user = user;
    const as = await impersonated(user, exchange.req.headers, authorizers).catch((err: unknown) => {
      exchange.audit = auditor?.begin(exchange, user, undefined);
      throw err;
    });
    exchange.audit = auditor?.begin(exchange, user, as === user ? undefined : as);
    exchange.user = as;
  }

  async #authenticate(req: IncomingMessage): Promise<Exchange['user']> {
    for (const authenticator of this.#deps.authenticators) {
      const user = await authenticator.authenticate(req);
      if (user) return user;
    }
    return ANONYMOUS;
  }

  async authorize({ user, info, audit }: Exchange): Promise<void> {
    let why = '';
    for (const authorizer of this.#deps.authorizers) {
      const { decision, reason } = await authorizer.authorize(user, info);
      if (decision === 'allow') {
        audit?.annotate(DECISION, 'allow');
        audit?.annotate(REASON, reason ?? '');
        return;
      }
      if (reason) why = reason;
      if (decision === 'deny') break;
    }
    audit?.annotate(DECISION, 'forbid');
    if (why !== '') audit?.annotate(REASON, why);
    throw forbidden(user, info, why);
  }

  #fail(exchange: Exchange, thrown: unknown): void {
    const { req, res, info, user } = exchange;
    const err = asApiError(thrown);
    if (!(err instanceof ApiError) && !res.destroyed) {
      const { verb, path } = info;
      const fields = { auditID: exchange.id, verb, path, user: user.name, err };
      this.#deps.log.error(fields, 'Request failed');
    }
    if (res.destroyed) return;
    if (exchange.audit) {
      const status = statusOf(err);
      exchange.audit.sawResponse(status.code ?? 500, Buffer.from(JSON.stringify(status)));
    }
    setWarnings(exchange);
    if (isStoreAway(err) && !res.headersSent) turnAway(res);
    writeError(res, err);
    // What the client still sends must not block the connection.
    req.resume();
  }
}

const DECISION = 'authorization.k8s.io/decision';
const REASON = 'authorization.k8s.io/reason';
/** Of whom credentials did not tell. */
const NOBODY = { name: '', groups: [] };

/** The request with what its line says. */
export function begin(req: IncomingMessage, res: ServerResponse): Exchange {
  const url = req.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const info = parseRequestInfo(req.method ?? 'GET', path, query);
  return { id: requestId(req), req, res, query, info, user: ANONYMOUS, warnings: [] };
}

const ID = /^[\w.:-]{1,64}$/;

/** The client's own id of the request, or a new one. */
function requestId({ headers }: IncomingMessage): string {
  const given = headers['audit-id'];
  return typeof given === 'string' && ID.test(given) ? given : randomUUID();
}
