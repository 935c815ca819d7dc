import { notFound } from '../../api/errors.ts';
import type { ComponentStatus } from '../../api/types.ts';
import { call } from '../../http/call.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendJson, sendObject, shapeOf } from '../reading.ts';
import { shapeList } from '../representation.ts';

type Health = { readonly message: string; readonly error?: string };

const TIMEOUT_MS = 5000;
/** Ports on this machine, upstream's: the only ones that these statuses ever knew. */
const PORTS = { 'controller-manager': 10257, scheduler: 10259 } as const;
const DEPRECATED = 'v1 ComponentStatus is deprecated in v1.19+';

/** componentstatuses: what the control plane's parts on this machine say about themselves, asked at the moment. */
export async function componentStatuses(
  deps: HandlerDeps,
  exchange: Exchange,
  { kind, name }: Target,
): Promise<void> {
  const shape = shapeOf(exchange, kind, deps.clock.now());
  exchange.warnings.push(DEPRECATED);
  const checks = checksOf(deps);
  if (name !== '') {
    const check = checks.get(name);
    if (!check) throw notFound(kind, name);
    await sendObject(exchange, 200, shape, bytesOf(await statusOf(name, check)));
    return;
  }
  const statuses = await Promise.all([...checks].map(([one, check]) => statusOf(one, check)));
  const json = shapeList(shape, { resourceVersion: '' }, statuses);
  await sendJson(exchange, 200, json, shape.representation.format);
}

function checksOf({ state }: HandlerDeps): Map<string, () => Promise<Health>> {
  const ports = Object.entries(PORTS).map(
    ([name, port]) => [name, () => askComponent(port)] as const,
  );
  const store = async (): Promise<Health> => {
    await state.storage.status();
    return { message: 'ok' };
  };
  return new Map([...ports, ['etcd-0', store]]);
}

async function askComponent(port: number): Promise<Health> {
  const { status, body } = await call({
    url: new URL(`https://127.0.0.1:${port}/healthz`),
    method: 'GET',
    headers: {},
    // Components serve with certificates of their own; what is asked is public.
    tls: { rejectUnauthorized: false },
    timeoutMs: TIMEOUT_MS,
  });
  const message = body.toString().trim();
  return status === 200 ? { message } : { message, error: `status code ${status}` };
}

async function statusOf(name: string, check: () => Promise<Health>): Promise<ComponentStatus> {
  const { message, error } = await check().catch(
    (err: unknown): Health => ({ message: errorMessage(err), error: errorMessage(err) }),
  );
  const condition = {
    type: 'Healthy',
    status: error === undefined ? 'True' : 'False',
    message,
    ...(error === undefined ? {} : { error }),
  };
  return {
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name },
    conditions: [condition],
  } as unknown as ComponentStatus;
}

function bytesOf(status: ComponentStatus): Buffer {
  return Buffer.from(JSON.stringify(status));
}
