import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { dns1123Subdomain, qualifiedName } from '../../../api/names.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../../../api/types.ts';
import { jsonEqual } from '../../../util/json.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  notNegative,
  oneOf,
  optionalOneOf,
  quantityNotNegative,
  repeated,
  requiredAnd,
  validateLabelSelector,
} from '../validation.ts';

const MAX_DRIVER_NAME = 63;

/** The name of a CSI driver, in any case. */
export function validateDriverName(driver: string, field: string): FieldError[] {
  if (driver === '') return [required(field)];
  const out = checked(driver.toLowerCase(), dns1123Subdomain, field);
  if (driver.length > MAX_DRIVER_NAME) {
    const message = `Too long: may not be more than ${MAX_DRIVER_NAME} bytes`;
    out.push({ type: 'FieldValueTooLong', field, message });
  }
  return out;
}

export function validateStorageClass(storageClass: StorageClass): FieldError[] {
  const { provisioner, parameters, reclaimPolicy, volumeBindingMode } = storageClass;
  return [
    ...requiredAnd(provisioner.toLowerCase(), qualifiedName, 'provisioner'),
    ...Object.keys(parameters ?? {}).flatMap((key) =>
      key === '' ? [invalid('parameters', key, 'field can not be empty.')] : [],
    ),
    ...optionalOneOf(reclaimPolicy, ['Delete', 'Retain'], 'reclaimPolicy'),
    ...oneOf(volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'volumeBindingMode'),
    ...each(storageClass.allowedTopologies, 'allowedTopologies', (term, at) =>
      each(term.matchLabelExpressions, `${at}.matchLabelExpressions`, ({ key, values }, where) => [
        ...mustBeThere(values, `${where}.values`),
        ...checked(key, qualifiedName, `${where}.key`),
      ]),
    ),
  ];
}

export function validateStorageClassUpdate(next: StorageClass, old: StorageClass): FieldError[] {
  const out: FieldError[] = [];
  if (!jsonEqual(next.parameters ?? {}, old.parameters ?? {})) {
    out.push(forbidden('parameters', 'updates to parameters are forbidden.'));
  }
  if (next.provisioner !== old.provisioner) {
    out.push(forbidden('provisioner', 'updates to provisioner are forbidden.'));
  }
  if (next.reclaimPolicy !== old.reclaimPolicy) {
    out.push(forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
  }
  return [...out, ...immutable(next.volumeBindingMode, old.volumeBindingMode, 'volumeBindingMode')];
}

export function validateAttachment({ spec }: VolumeAttachment): FieldError[] {
  const { persistentVolumeName, inlineVolumeSpec } = spec.source;
  const out = validateDriverName(spec.attacher, 'spec.attacher');
  if (persistentVolumeName !== undefined && inlineVolumeSpec) {
    out.push(
      forbidden(
        'spec.source',
        'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
      ),
    );
  } else if (!persistentVolumeName && !inlineVolumeSpec) {
    out.push(
      required(
        'spec.source',
        'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
      ),
    );
  }
  return [...out, ...requiredAnd(spec.nodeName, dns1123Subdomain, 'spec.nodeName')];
}

export function validateAttachmentUpdate(
  next: VolumeAttachment,
  old: VolumeAttachment,
): FieldError[] {
  return [...validateAttachment(next), ...immutable(next.spec, old.spec, 'spec')];
}

export function validateAttributesClass(attributes: VolumeAttributesClass): FieldError[] {
  const { driverName, parameters } = attributes;
  const out = validateDriverName(driverName, 'driverName');
  if (Object.keys(parameters ?? {}).length === 0) {
    out.push(required('parameters', 'must contain at least one key/value pair'));
  }
  return out;
}

export function validateAttributesClassUpdate(
  next: VolumeAttributesClass,
  old: VolumeAttributesClass,
): FieldError[] {
  const out: FieldError[] = [];
  if (next.driverName !== old.driverName) {
    out.push(forbidden('driverName', 'updates to driverName are forbidden.'));
  }
  if (!jsonEqual(next.parameters ?? {}, old.parameters ?? {})) {
    out.push(forbidden('parameters', 'updates to parameters are forbidden.'));
  }
  return out;
}

const GROUP_POLICIES = ['File', 'None', 'ReadWriteOnceWithFSType'];
const LIFECYCLES = ['Ephemeral', 'Persistent'];
const MIN_TOKEN_SECONDS = 600;

export function validateCsiDriver({ metadata, spec }: CSIDriver): FieldError[] {
  const audiences = repeated(spec.tokenRequests ?? [], (r) => `/${r.audience}`);
  return [
    ...validateDriverName(metadata.name ?? '', 'metadata.name'),
    ...optionalOneOf(spec.fsGroupPolicy, GROUP_POLICIES, 'spec.fsGroupPolicy'),
    ...each(spec.volumeLifecycleModes, 'spec.volumeLifecycleModes', (mode, at) =>
      oneOf(mode, LIFECYCLES, at),
    ),
    ...each(spec.tokenRequests, 'spec.tokenRequests', (request, at, index) => {
      const seconds = request.expirationSeconds;
      return [
        ...(audiences.has(index) ? [duplicate(`${at}.audience`, request.audience)] : []),
        ...(seconds !== undefined && seconds < MIN_TOKEN_SECONDS
          ? [
              invalid(
                `${at}.expirationSeconds`,
                seconds,
                'may not specify a duration less than 10 minutes',
              ),
            ]
          : []),
      ];
    }),
  ];
}

export function validateCsiDriverUpdate(next: CSIDriver, old: CSIDriver): FieldError[] {
  return [
    ...validateCsiDriver(next),
    ...immutable(next.spec.attachRequired, old.spec.attachRequired, 'spec.attachedRequired'),
    ...immutable(next.spec.fsGroupPolicy, old.spec.fsGroupPolicy, 'spec.fsGroupPolicy'),
    ...immutable(
      next.spec.volumeLifecycleModes,
      old.spec.volumeLifecycleModes,
      'spec.volumeLifecycleModes',
    ),
  ];
}

export function validateCsiNode({ spec }: CSINode): FieldError[] {
  const doubles = repeated(spec.drivers, (driver) => driver.name);
  return each(spec.drivers, 'spec.drivers', (driver, at, index) => [
    ...validateDriverName(driver.name, `${at}.name`),
    ...(doubles.has(index) ? [duplicate(`${at}.name`, driver.name)] : []),
    ...mustBeThere(driver.nodeID, `${at}.nodeID`),
    ...notNegative(driver.allocatable?.count, `${at}.allocatable.count`),
    ...each(driver.topologyKeys, `${at}.topologyKeys`, (key, where) =>
      checked(key, qualifiedName, where),
    ),
  ]);
}

/** A driver that is there may not change, but for what it can hold; drivers come and go. */
export function validateCsiNodeUpdate(next: CSINode, old: CSINode): FieldError[] {
  const out = validateCsiNode(next);
  const before = new Map(old.spec.drivers.map((driver) => [driver.name, driver]));
  for (const [index, driver] of next.spec.drivers.entries()) {
    const was = before.get(driver.name);
    if (!was) continue;
    const bare = ({ allocatable: _, ...rest }: typeof driver) => rest;
    if (!jsonEqual(bare(driver), bare(was))) {
      out.push(invalid(`spec.drivers[${index}]`, driver, 'field is immutable'));
    }
  }
  return out;
}

export function validateCapacity(capacity: CSIStorageCapacity): FieldError[] {
  return [
    ...requiredAnd(capacity.storageClassName, dns1123Subdomain, 'storageClassName'),
    ...(capacity.capacity === undefined ? [] : quantityNotNegative(capacity.capacity, 'capacity')),
    ...(capacity.maximumVolumeSize === undefined
      ? []
      : quantityNotNegative(capacity.maximumVolumeSize, 'maximumVolumeSize')),
    ...validateLabelSelector(capacity.nodeTopology, 'nodeTopology'),
  ];
}

export function validateCapacityUpdate(
  next: CSIStorageCapacity,
  old: CSIStorageCapacity,
): FieldError[] {
  return [
    ...validateCapacity(next),
    ...immutable(next.nodeTopology, old.nodeTopology, 'nodeTopology'),
    ...immutable(next.storageClassName, old.storageClassName, 'storageClassName'),
  ];
}
