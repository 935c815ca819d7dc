import { shortHash } from '../hash.ts';
import type { Endpoint, ServicePort } from '../model.ts';

// nft's own limit is 255 bytes; upstream stays below it.
const MAX_LENGTH = 240;

/** `HASH-NAMESPACE/NAME/PROTOCOL/PORTNAME`, the part of names that stands for a service port. */
export function serviceBase({ namespace, service, protocol, portName }: ServicePort): string {
  return hashed(`${namespace}/${service}/${protocol.toLowerCase()}/${portName}`);
}

/** The same for one endpoint of it. */
export function endpointBase(service: ServicePort, { ip, port }: Endpoint): string {
  const { namespace, service: name, protocol, portName } = service;
  const address = ip.replaceAll(':', '.');
  return hashed(`${namespace}/${name}/${protocol.toLowerCase()}/${portName}__${address}/${port}`);
}

function hashed(text: string): string {
  const name = `${shortHash(text, 8)}-${text}`;
  return name.length <= MAX_LENGTH ? name : `${name.slice(0, MAX_LENGTH - 3)}...`;
}
