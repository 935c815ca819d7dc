import { type FieldError, forbidden, invalid, required } from '../../../api/field-errors.ts';
import { httpHeaderName, inRange, portName, portNumber } from '../../../api/names.ts';
import type { Container, Probe } from '../../../api/types.ts';
import { checked, mustBeThere, notNegative, oneOf, within } from '../validation.ts';

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket'> & {
  grpc?: Probe['grpc'];
  sleep?: { seconds: number } | undefined;
};

/** Probes and lifecycle hooks of one container. */
export function validateProbes(
  container: Container,
  options: { sidecarOrMain: boolean; graceSeconds: number },
  path: string,
): FieldError[] {
  if (!options.sidecarOrMain) {
    const detail = 'may not be set for init containers without restartPolicy=Always';
    const given = (['lifecycle', ...PROBES] as const).filter((part) => container[part]);
    return given.map((part) => forbidden(`${path}.${part}`, detail));
  }
  const { preStop, postStart } = container.lifecycle ?? {};
  return [
    ...(postStart ? validateHandler(postStart, options, `${path}.lifecycle.postStart`) : []),
    ...(preStop ? validateHandler(preStop, options, `${path}.lifecycle.preStop`) : []),
    ...PROBES.flatMap((part) => validateProbe(container[part], options, `${path}.${part}`)),
    ...validateSpecial(container, path),
  ];
}

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** What holds for one sort of probe only. */
function validateSpecial(container: Container, path: string): FieldError[] {
  const out: FieldError[] = [];
  for (const part of ['livenessProbe', 'startupProbe'] as const) {
    const threshold = container[part]?.successThreshold ?? 1;
    if (threshold !== 1) {
      out.push(invalid(`${path}.${part}.successThreshold`, threshold, 'must be 1'));
    }
  }
  const seconds = container.readinessProbe?.terminationGracePeriodSeconds;
  if (seconds !== undefined) {
    const field = `${path}.readinessProbe.terminationGracePeriodSeconds`;
    out.push(invalid(field, seconds, 'must not be set for readinessProbes'));
  }
  return out;
}

const NUMBERS = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

function validateProbe(
  probe: Probe | undefined,
  options: { graceSeconds: number },
  path: string,
): FieldError[] {
  if (!probe) return [];
  const out = validateHandler(probe, options, path);
  for (const part of NUMBERS) out.push(...notNegative(probe[part], `${path}.${part}`));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    out.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  }
  return out;
}

const KINDS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

function validateHandler(
  handler: Handler,
  options: { graceSeconds: number },
  path: string,
): FieldError[] {
  const [first, ...others] = KINDS.filter((kind) => handler[kind] !== undefined);
  if (first === undefined) return [required(path, 'must specify a handler type')];
  const out = others.map((kind) =>
    forbidden(`${path}.${kind}`, 'may not specify more than 1 handler type'),
  );
  if (first === 'exec') out.push(...mustBeThere(handler.exec?.command, `${path}.exec.command`));
  if (first === 'httpGet') out.push(...validateHttpGet(handler.httpGet, `${path}.httpGet`));
  if (first === 'tcpSocket') {
    out.push(...validatePort(handler.tcpSocket?.port ?? 0, `${path}.tcpSocket.port`));
  }
  if (first === 'grpc') {
    const port = handler.grpc?.port ?? 0;
    out.push(...within(port, portNumber(port), `${path}.grpc.port`));
  }
  if (first === 'sleep') out.push(...validateSleep(handler, options.graceSeconds, path));
  return out;
}

function validateSleep(handler: Handler, graceSeconds: number, path: string): FieldError[] {
  const seconds = handler.sleep?.seconds ?? 0;
  const ok = inRange(seconds, 0, graceSeconds).length === 0;
  const detail = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds}). Must be greater than or equal to 0`;
  return ok ? [] : [invalid(`${path}.sleep`, seconds, detail)];
}

function validateHttpGet(get: Probe['httpGet'], path: string): FieldError[] {
  if (!get) return [];
  const out = mustBeThere(get.path, `${path}.path`);
  out.push(...validatePort(get.port, `${path}.port`));
  out.push(...oneOf(get.scheme, ['HTTP', 'HTTPS'], `${path}.scheme`));
  for (const header of get.httpHeaders ?? []) {
    out.push(...checked(header.name, httpHeaderName, `${path}.httpHeaders`));
  }
  return out;
}

/** A port by number or by the name of a container's port. */
export function validatePort(port: number | string, field: string): FieldError[] {
  if (typeof port === 'number') return within(port, portNumber(port), field);
  return checked(port, portName, field);
}
