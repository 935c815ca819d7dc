import { chooseEndpoints } from './endpoints.ts';
import type { Endpoint, Protocol, ServicePort, ServicePortSpec } from './model.ts';

const NODE = { name: 'node-a', zone: undefined };

/** An endpoint from `IP:PORT`, with words after it: `10.244.0.1:80 local`, `terminating`, `notready`. */
export function endpoint(text: string): Endpoint {
  const [address = '', ...words] = text.split(' ');
  const colon = address.lastIndexOf(':');
  const terminating = words.includes('terminating');
  return {
    ip: address.slice(0, colon).replace(/[[\]]/g, ''),
    port: Number(address.slice(colon + 1)),
    address,
    isLocal: words.includes('local'),
    ready: !terminating && !words.includes('notready'),
    serving: !words.includes('notready'),
    terminating,
    zoneHints: [],
    nodeHints: [],
  };
}

/** A service port for tests: ClusterIP 10.96.0.1:80/TCP unless said otherwise. */
export function servicePort(
  given: Partial<Omit<ServicePortSpec, 'id' | 'name'>> & { endpoints?: readonly string[] } = {},
): ServicePort {
  const { endpoints: listed = [], ...fields } = given;
  const protocol: Protocol = given.protocol ?? 'TCP';
  const { namespace = 'default', service = 'web', portName = '' } = given;
  const name = `${namespace}/${service}${portName === '' ? '' : `:${portName}`}`;
  const spec: ServicePortSpec = {
    id: `${name}/${protocol}`,
    name,
    namespace,
    service,
    portName,
    protocol,
    family: 4,
    clusterIP: '10.96.0.1',
    port: 80,
    nodePort: 0,
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: [],
    affinitySeconds: undefined,
    internalLocal: false,
    externalLocal: false,
    healthCheckNodePort: 0,
    ...fields,
  };
  const all = listed.map(endpoint);
  const localReady = all.filter((e) => e.isLocal && e.ready).length;
  return { ...spec, endpoints: chooseEndpoints(all, spec, NODE), localReady };
}
