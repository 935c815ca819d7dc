import { isIPv4, isIPv6 } from 'node:net';
import {
  duplicate,
  type FieldError,
  invalid,
  required,
  tooMany,
} from '../../../api/field-errors.ts';
import { dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from '../../../api/names.ts';
import type { EndpointSlice } from '../../../api/types.ts';
import { validateEndpointIp } from '../core/small-validation.ts';
import { checked, each, oneOf, repeated, within } from '../validation.ts';

const MAX_ENDPOINTS = 1000;
const MAX_PORTS = 20_000;
const MAX_ADDRESSES = 100;

type Slice = EndpointSlice;

export function validateEndpointSlice(slice: Slice): FieldError[] {
  const { endpoints = [], ports = [], addressType } = slice;
  const out = oneOf(addressType, ['FQDN', 'IPv4', 'IPv6'], 'addressType');
  if (endpoints.length > MAX_ENDPOINTS)
    out.push(tooMany('endpoints', endpoints.length, MAX_ENDPOINTS));
  if (ports.length > MAX_PORTS) out.push(tooMany('ports', ports.length, MAX_PORTS));
  const names = repeated(ports, (port) => `/${port.name ?? ''}`);
  return [
    ...out,
    ...each(endpoints, 'endpoints', (endpoint, at) => validateEndpoint(endpoint, addressType, at)),
    ...each(ports, 'ports', (port, at, index) => [
      ...(names.has(index) ? [duplicate(`${at}.name`, port.name ?? '')] : []),
      ...(port.name ? checked(port.name, dns1123Label, `${at}.name`) : []),
      ...oneOf(port.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`),
      ...(port.appProtocol ? checked(port.appProtocol, qualifiedName, `${at}.appProtocol`) : []),
      ...(port.port === undefined ? [] : within(port.port, portNumber(port.port), `${at}.port`)),
    ]),
  ];
}

function validateEndpoint(
  endpoint: NonNullable<Slice['endpoints']>[number],
  addressType: string,
  at: string,
): FieldError[] {
  const { addresses, hostname, nodeName } = endpoint;
  const out: FieldError[] = [];
  if (addresses.length === 0)
    out.push(required(`${at}.addresses`, 'must contain at least 1 address'));
  if (addresses.length > MAX_ADDRESSES) {
    out.push(tooMany(`${at}.addresses`, addresses.length, MAX_ADDRESSES));
  }
  out.push(
    ...each(addresses, `${at}.addresses`, (ip, where) => validateByType(ip, addressType, where)),
  );
  if (nodeName) out.push(...checked(nodeName, dns1123Subdomain, `${at}.nodeName`));
  if (hostname) out.push(...checked(hostname, dns1123Label, `${at}.hostname`));
  return out;
}

function validateByType(address: string, type: string, field: string): FieldError[] {
  if (type === 'FQDN') return checked(address, dns1123Subdomain, field);
  const right = type === 'IPv4' ? isIPv4(address) : isIPv6(address);
  if (right) return validateEndpointIp(address, field);
  return [invalid(field, address, `must be a valid ${type} address`)];
}
