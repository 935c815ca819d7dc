import type { IncomingMessage } from 'node:http';
import { parseJson } from '../../util/exact-json.ts';
import { isObject } from '../../util/json.ts';
import type { AuditDecision, AuditStage } from '../audit-policy.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';

export type AuditEvent = Readonly<Record<string, unknown>>;

/** What one request leaves in the audit log, stage by stage (audit.k8s.io/v1 Event). */
export class AuditRecord {
  readonly #id: string;
  readonly #decision: AuditDecision;
  readonly #info: RequestInfo;
  readonly #event: Record<string, unknown>;
  readonly #annotations: Record<string, string> = {};
  readonly #emit: (event: AuditEvent) => void;
  readonly #now: () => number;
  #request: unknown;
  #response: unknown;
  #code = 0;

  constructor(
    parts: {
      id: string;
      decision: AuditDecision;
      info: RequestInfo;
      req: IncomingMessage;
      user: UserInfo;
      /** Who it is done as, when that is somebody else. */
      as?: UserInfo | undefined;
    },
    { emit, now }: { emit: (event: AuditEvent) => void; now: () => number },
  ) {
    const { id, decision, info, req, user, as } = parts;
    this.#id = id;
    this.#decision = decision;
    this.#info = info;
    this.#emit = emit;
    this.#now = now;
    this.#event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: decision.level,
      auditID: id,
      requestURI: req.url ?? '',
      verb: info.verb,
      user: userOf(user),
      ...(as ? { impersonatedUser: userOf(as) } : {}),
      sourceIPs: sourcesOf(req),
      ...(req.headers['user-agent'] ? { userAgent: req.headers['user-agent'] } : {}),
      requestReceivedTimestamp: microTime(now()),
    };
    this.stage('RequestReceived');
  }

  annotate(key: string, value: string): void {
    // The first who says something is believed.
    this.#annotations[key] ??= value;
  }

  /** The body of the request, once it has been read. */
  sawRequest(body: Buffer): void {
    if (this.#decision.level === 'Metadata') return;
    this.#request = parsed(body);
  }

  sawResponse(code: number, body: Buffer): void {
    this.#code = code;
    const isStatus = code >= 400;
    if (this.#decision.level !== 'RequestResponse' && !isStatus) return;
    this.#response = parsed(body);
  }

  stage(stage: AuditStage, code = this.#code): void {
    if (this.#decision.omitStages.has(stage)) return;
    this.#emit({
      ...this.#event,
      stage,
      ...this.#objectRef(),
      ...(stage === 'RequestReceived' ? {} : { responseStatus: this.#status(code) }),
      ...this.#bodies(stage),
      stageTimestamp: microTime(this.#now()),
      ...(Object.keys(this.#annotations).length > 0
        ? { annotations: { ...this.#annotations } }
        : {}),
    });
  }

  get id(): string {
    return this.#id;
  }

  #objectRef(): object {
    const { isResource, resource, namespace, name, group, version, subresource } = this.#info;
    if (!isResource) return {};
    const ref = { resource, namespace, name, apiGroup: group, apiVersion: version, subresource };
    return { objectRef: Object.fromEntries(Object.entries(ref).filter(([, text]) => text !== '')) };
  }

  #status(code: number): object {
    const status = { metadata: {}, code };
    if (code < 400 || !isObject(this.#response)) return status;
    const { message, reason, status: word } = this.#response;
    return { ...status, status: word, message, reason };
  }

  #bodies(stage: AuditStage): object {
    const { level, omitManagedFields } = this.#decision;
    if (level === 'Metadata') return {};
    const shown = (object: unknown) => (omitManagedFields ? withoutManagedFields(object) : object);
    const response = level === 'RequestResponse' && stage === 'ResponseComplete';
    return {
      ...(this.#request === undefined ? {} : { requestObject: shown(this.#request) }),
      ...(response && this.#response !== undefined
        ? { responseObject: shown(this.#response) }
        : {}),
    };
  }
}

function userOf({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

/** Who sent the request, as far as proxies tell; the last is who connected. */
function sourcesOf({ headers, socket }: IncomingMessage): string[] {
  const told = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const peer = socket?.remoteAddress;
  return [...told, ...(peer === undefined ? [] : [peer])];
}

function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

function parsed(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return parseJson(body.toString());
  } catch {
    return undefined; // YAML, protobuf, logs: no JSON to show
  }
}

function withoutManagedFields(object: unknown): unknown {
  if (!isObject(object)) return object;
  const strip = (one: unknown) => {
    if (!isObject(one) || !isObject(one.metadata)) return one;
    const { managedFields: _, ...metadata } = one.metadata;
    return { ...one, metadata };
  };
  const items = Array.isArray(object.items) ? { items: object.items.map(strip) } : {};
  return { ...(strip(object) as object), ...items };
}
