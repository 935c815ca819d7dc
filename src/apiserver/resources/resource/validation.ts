import { duplicate, type FieldError, invalid, required } from '../../../api/field-errors.ts';
import { dns1123Label, dns1123Subdomain, qualifiedName } from '../../../api/names.ts';
import type {
  DeviceClass,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
} from '../../../api/types.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  notFound,
  oneOf,
  repeated,
  requiredAnd,
} from '../validation.ts';

type ClaimSpec = ResourceClaim['spec'];
type Request = NonNullable<NonNullable<ClaimSpec['devices']>['requests']>[number];
type Exact = NonNullable<Request['exactly']>;

const MAX_DEVICES = 128;

export function validateClaim({ spec }: ResourceClaim): FieldError[] {
  return validateClaimSpec(spec, 'spec');
}

export function validateClaimSpec(spec: ClaimSpec, path: string): FieldError[] {
  const at = `${path}.devices`;
  const requests = spec.devices?.requests ?? [];
  const doubles = repeated(requests, (request) => request.name);
  const names = new Set(
    requests.flatMap((r) => [
      r.name,
      ...(r.firstAvailable ?? []).map((s) => `${r.name}/${s.name}`),
    ]),
  );
  const known = (name: string, where: string) => (names.has(name) ? [] : [notFound(name, where)]);
  return [
    ...each(requests, `${at}.requests`, (request, where, index) => [
      ...requiredAnd(request.name, dns1123Label, `${where}.name`),
      ...(doubles.has(index) ? [duplicate(`${where}.name`, request.name)] : []),
      ...validateRequest(request, where),
    ]),
    ...each(spec.devices?.constraints, `${at}.constraints`, (constraint, where) =>
      each(constraint.requests, `${where}.requests`, known),
    ),
    ...each(spec.devices?.config, `${at}.config`, (config, where) => [
      ...each(config.requests, `${where}.requests`, known),
      ...(config.opaque
        ? requiredAnd(config.opaque.driver, dns1123Subdomain, `${where}.opaque.driver`)
        : [required(`${where}.opaque`)]),
    ]),
  ];
}

function validateRequest({ exactly, firstAvailable }: Request, at: string): FieldError[] {
  if (exactly && firstAvailable?.length) {
    return [invalid(at, '', 'exactly one of `exactly` or `firstAvailable` must be specified')];
  }
  if (exactly) return validateExact(exactly, `${at}.exactly`);
  if (!firstAvailable?.length) {
    return [required(at, 'exactly one of `exactly` or `firstAvailable` must be specified')];
  }
  return each(firstAvailable, `${at}.firstAvailable`, (alternative, where) => [
    ...requiredAnd(alternative.name, dns1123Label, `${where}.name`),
    ...validateExact(alternative, where),
  ]);
}

function validateExact(
  request: Pick<Exact, 'deviceClassName' | 'allocationMode' | 'count' | 'selectors'>,
  at: string,
): FieldError[] {
  const out = requiredAnd(request.deviceClassName, dns1123Subdomain, `${at}.deviceClassName`);
  const { allocationMode: mode, count } = request;
  if (mode === 'ExactCount' && (count ?? 0) <= 0) {
    out.push(invalid(`${at}.count`, count ?? 0, 'must be greater than zero'));
  } else if (mode === 'All' && count) {
    out.push(invalid(`${at}.count`, count, "must not be specified when allocationMode is 'All'"));
  } else out.push(...oneOf(mode, ['All', 'ExactCount'], `${at}.allocationMode`));
  return [...out, ...validateSelectors(request.selectors, `${at}.selectors`)];
}

function validateSelectors(selectors: Exact['selectors'], path: string): FieldError[] {
  return each(selectors, path, ({ cel }, at) =>
    cel ? mustBeThere(cel.expression, `${at}.cel.expression`) : [required(`${at}.cel`)],
  );
}

/** What was asked for does not change while it may already be given. */
export function validateClaimUpdate(next: ResourceClaim, old: ResourceClaim): FieldError[] {
  return immutable(next.spec, old.spec, 'spec');
}

export function validateClaimStatus(next: ResourceClaim, old: ResourceClaim): FieldError[] {
  const out: FieldError[] = [];
  const { allocation, reservedFor = [] } = next.status ?? {};
  if (old.status?.allocation && allocation) {
    out.push(...immutable(allocation, old.status.allocation, 'status.allocation'));
  }
  if (reservedFor.length > 0 && !allocation) {
    out.push({
      type: 'FieldValueForbidden',
      field: 'status.reservedFor',
      message: 'Forbidden: may not be specified when `allocated` is not set',
    });
  }
  const doubles = repeated(reservedFor, (consumer) => consumer.uid);
  return [
    ...out,
    ...each(reservedFor, 'status.reservedFor', (consumer, at, index) => [
      ...mustBeThere(consumer.resource, `${at}.resource`),
      ...mustBeThere(consumer.name, `${at}.name`),
      ...mustBeThere(consumer.uid, `${at}.uid`),
      ...(doubles.has(index) ? [duplicate(`${at}.uid`, consumer.uid)] : []),
    ]),
  ];
}

export function validateTemplate({ spec }: ResourceClaimTemplate): FieldError[] {
  return validateClaimSpec(spec.spec, 'spec.spec');
}

export function validateTemplateUpdate(
  next: ResourceClaimTemplate,
  old: ResourceClaimTemplate,
): FieldError[] {
  return immutable(next.spec, old.spec, 'spec');
}

export function validateClass({ spec }: DeviceClass): FieldError[] {
  return [
    ...validateSelectors(spec.selectors, 'spec.selectors'),
    ...each(spec.config, 'spec.config', ({ opaque }, at) =>
      opaque
        ? requiredAnd(opaque.driver, dns1123Subdomain, `${at}.opaque.driver`)
        : [required(`${at}.opaque`)],
    ),
  ];
}

export function validateSlice({ spec }: ResourceSlice): FieldError[] {
  const { devices = [], pool } = spec;
  const out = requiredAnd(spec.driver, dns1123Subdomain, 'spec.driver');
  out.push(...mustBeThere(pool.name, 'spec.pool.name'));
  if (pool.resourceSliceCount <= 0) {
    const detail = 'must be greater than zero';
    out.push(invalid('spec.pool.resourceSliceCount', pool.resourceSliceCount, detail));
  }
  if (pool.generation < 0) {
    const detail = 'must be greater than or equal to zero';
    out.push(invalid('spec.pool.generation', pool.generation, detail));
  }
  const places = [spec.nodeName, spec.nodeSelector, spec.allNodes, spec.perDeviceNodeSelection];
  const given = places.filter(Boolean).length;
  const choice =
    'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
  if (given === 0) out.push(required('spec', choice));
  if (given > 1) out.push(invalid('spec', '', choice));
  if (devices.length > MAX_DEVICES) {
    const message = `Too many: ${devices.length}: must have at most ${MAX_DEVICES} items`;
    out.push({ type: 'FieldValueTooMany', field: 'spec.devices', message });
  }
  const doubles = repeated(devices, (device) => device.name);
  return [
    ...out,
    ...each(devices, 'spec.devices', (device, at, index) => [
      ...requiredAnd(device.name, dns1123Label, `${at}.name`),
      ...(doubles.has(index) ? [duplicate(`${at}.name`, device.name)] : []),
      ...Object.keys(device.attributes ?? {}).flatMap((key) =>
        checked(key, qualifiedName, `${at}.attributes[${key}]`),
      ),
    ]),
  ];
}

export function validateSliceUpdate(next: ResourceSlice, old: ResourceSlice): FieldError[] {
  return [
    ...validateSlice(next),
    ...immutable(next.spec.pool.name, old.spec.pool.name, 'spec.pool.name'),
    ...immutable(next.spec.driver, old.spec.driver, 'spec.driver'),
    ...immutable(next.spec.nodeName, old.spec.nodeName, 'spec.nodeName'),
  ];
}
