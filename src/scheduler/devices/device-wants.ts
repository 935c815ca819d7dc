import type { DeviceClass, ResourceClaim } from '../../api/types.ts';
import type { Lister } from '../../client/client.ts';
import {
  type ClaimRequest,
  type Device,
  DeviceError,
  type DeviceSelector,
  type DeviceToleration,
  type ExactRequest,
} from './device-parts.ts';
import { deviceMatches } from './device-selectors.ts';

/** One way to meet a request of a claim: the request itself, or one of its alternatives. */
export interface Want {
  readonly request: string;
  /** As the result names it: `request`, or `request/alternative`. */
  readonly name: string;
  readonly className: string;
  readonly classSelectors: readonly DeviceSelector[];
  readonly selectors: readonly DeviceSelector[];
  readonly all: boolean;
  readonly count: number;
  /** To look after devices that others use: takes nothing away from anybody. */
  readonly adminAccess: boolean;
  readonly tolerations: readonly DeviceToleration[];
  /** How much of its capacities each device must have, or must give up if it is shared. */
  readonly capacity: Readonly<Record<string, string>>;
}

/** A claim that is to be allocated: its requests in order, each with its alternatives, the best first. */
export interface WantedClaim {
  readonly claim: ResourceClaim;
  readonly requests: readonly (readonly Want[])[];
}

type Part = Omit<ExactRequest, 'adminAccess'> & { readonly adminAccess?: boolean | undefined };

/** Throws DeviceError for a class that does not exist. */
export function wantsOf(claim: ResourceClaim, classes: Lister<DeviceClass>): WantedClaim {
  const requests = (claim.spec.devices?.requests ?? []).map((request) =>
    alternatives(request).map(([name, part]) =>
      want({ request: request.name, name }, part, classes),
    ),
  );
  return { claim, requests };
}

function alternatives({ name, exactly, firstAvailable = [] }: ClaimRequest): [string, Part][] {
  if (exactly) return [[name, exactly]];
  return firstAvailable.map((part) => [`${name}/${part.name}`, part]);
}

function want(
  names: { request: string; name: string },
  part: Part,
  classes: Lister<DeviceClass>,
): Want {
  const { deviceClassName, allocationMode = 'ExactCount', count = 1 } = part;
  const found = classes.get({ namespace: '', name: deviceClassName });
  if (!found) {
    throw new DeviceError(`request ${names.name}: device class ${deviceClassName} does not exist`);
  }
  if (allocationMode !== 'ExactCount' && allocationMode !== 'All') {
    throw new DeviceError(`request ${names.name}: unsupported count mode ${allocationMode}`);
  }
  return {
    ...names,
    className: deviceClassName,
    classSelectors: found.spec.selectors ?? [],
    selectors: part.selectors ?? [],
    all: allocationMode === 'All',
    count,
    adminAccess: part.adminAccess ?? false,
    tolerations: part.tolerations ?? [],
    capacity: part.capacity?.requests ?? {},
  };
}

/** Whether the class and the request select the device. Throws DeviceError for a selector that fails. */
export function selects(
  want: Want,
  claim: ResourceClaim,
  { driver, id, device }: { driver: string; id: string; device: Device },
): boolean {
  const { namespace, name } = claim.metadata;
  const passes = (selectors: readonly DeviceSelector[], owner: string) =>
    selectors.every(({ cel }, i) => {
      try {
        return deviceMatches(cel?.expression ?? '', driver, device);
      } catch (err) {
        if (!(err instanceof DeviceError)) throw err;
        throw new DeviceError(`${owner}: selector #${i} on device ${id}: ${err.message}`, {
          cause: err,
        });
      }
    });
  return (
    passes(want.classSelectors, `class ${want.className}`) &&
    passes(want.selectors, `claim ${namespace}/${name}`)
  );
}
