import { formatSelector, fromMap, matches } from '../../api/labels.ts';
import { isPodReady } from '../../api/pods.ts';
import type { EndpointSlice, Pod, Service } from '../../api/types.ts';
import { type PolicyFacts, policyFinding, type TargetPort } from './diagnose-policy.ts';
import { bad, type Finding, good } from './findings.ts';

/** All that is known of a Service that does not answer. */
export interface ServiceFacts extends Pick<PolicyFacts, 'policies' | 'namespaces' | 'from'> {
  readonly service: Service;
  /** All Pods of its namespace. */
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
  /** What the kernel of this node holds: iptables-save, the nft rule set, IPVS. */
  readonly rules: string;
  /** What makes Pods that the Service chooses, by name. */
  readonly makers: readonly string[];
  /** What went wrong when this node connected: `ADDRESS:PORT` → how. Only of those it tried. */
  readonly tried: ReadonlyMap<string, string | undefined>;
  /** What cluster DNS says of its name, or why it says nothing; undefined where there is none. */
  readonly dns: readonly string[] | string | undefined;
}

/** Walks the way of a connection: selector, ready Pods, endpoints, policies, rules in the kernel, its name. Pure. */
export function diagnoseService(facts: ServiceFacts): Finding[] {
  const { service } = facts;
  if (service.spec?.type === 'ExternalName') {
    return [good('dns', `an alias for ${service.spec.externalName}; nothing else routes it`)];
  }
  const found: Finding[] = [];
  const way = [selector, readyPods, endpoints, policy, listeners, kernel, connection];
  for (const look of [...way, balancer, name]) {
    const finding = look(facts);
    if (finding) found.push(finding);
    if (finding && !finding.ok) return found;
  }
  return found;
}

function chosen({ service, pods }: ServiceFacts): readonly Pod[] {
  if (Object.keys(service.spec?.selector ?? {}).length === 0) return [];
  const wanted = fromMap(service.spec?.selector);
  return pods.filter(({ metadata }) => matches(wanted, metadata.labels));
}

function selector(facts: ServiceFacts): Finding | undefined {
  const { service, makers } = facts;
  const { name, namespace } = service.metadata;
  const wanted = service.spec?.selector ?? {};
  if (Object.keys(wanted).length === 0) {
    return good('selector', 'none: its endpoints are made by hand');
  }
  const text = formatSelector(fromMap(wanted));
  const count = chosen(facts).length;
  if (count > 0) return good('selector', `${text} chooses ${count} Pods`);
  const [maker] = makers;
  return maker === undefined
    ? bad(
        'selector',
        `no Pod of ${namespace} has the labels ${text}`,
        `kubectl -n ${namespace} get pods --show-labels; kubectl -n ${namespace} get service ${name} -o wide`,
      )
    : bad(
        'pods',
        `${maker} is to make Pods with the labels ${text}, and there is none`,
        `k8ts doctor pod ${maker} -n ${namespace}`,
      );
}

function readyPods(facts: ServiceFacts): Finding | undefined {
  const pods = chosen(facts);
  if (pods.length === 0) return undefined;
  const ready = pods.filter(isPodReady);
  if (ready.length > 0) return good('pods', `${ready.length} of ${pods.length} are ready`);
  const [first] = pods;
  return bad(
    'pods',
    `none of ${pods.length} is ready`,
    `k8ts doctor pod ${first?.metadata.name} -n ${first?.metadata.namespace}`,
  );
}

/** Where packets are to go in the end, of the endpoints that are ready. */
export function destinations(
  slices: readonly EndpointSlice[],
): { host: string; port: TargetPort }[] {
  return slices.flatMap(({ endpoints: all, ports }) =>
    (all ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) =>
        addresses.flatMap((host) =>
          (ports ?? []).flatMap(({ port, name: portName, protocol = 'TCP' }) =>
            port === undefined ? [] : [{ host, port: { number: port, name: portName, protocol } }],
          ),
        ),
      ),
  );
}

function endpoints({ service, slices }: ServiceFacts): Finding {
  const { name: own, namespace } = service.metadata;
  const addresses = new Set(
    slices.flatMap(({ endpoints: all }) =>
      (all ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .flatMap((one) => one.addresses),
    ),
  );
  const next = `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${own}`;
  if (addresses.size === 0) {
    return bad('endpoints', 'there is no ready endpoint', `${next}; the log of controller-manager`);
  }
  const ports = slices.flatMap((slice) => slice.ports ?? []);
  const missing = (service.spec?.ports ?? []).find(
    (port) => !ports.some((one) => (one.name ?? '') === (port.name ?? '')),
  );
  if (missing) {
    return bad(
      'endpoints',
      `no Pod has the port ${missing.targetPort ?? missing.port} that port ${missing.port} leads to`,
      `kubectl -n ${namespace} get service ${own} -o yaml`,
    );
  }
  return good('endpoints', [...addresses].join(', '));
}

function policy(facts: ServiceFacts): Finding | undefined {
  const targets = chosen(facts).filter(isPodReady);
  if (targets.length === 0) return undefined;
  const ports = new Map(destinations(facts.slices).map(({ port }) => [port.number, port]));
  const findings = [...ports.values()].map((port) => {
    const named = targets.flatMap(
      ({ spec }) => spec?.containers.flatMap((one) => one.ports ?? []) ?? [],
    );
    const own = named.find(({ containerPort }) => containerPort === port.number)?.name;
    return policyFinding({ ...facts, targets, port: { ...port, name: own } });
  });
  return findings.find(({ ok }) => !ok) ?? findings[0];
}

/** Whether somebody listens where packets arrive. A connection from a node is not subject to policies of its own Pods. */
function listeners({ service, slices, tried }: ServiceFacts): Finding | undefined {
  const { namespace } = service.metadata;
  const asked = destinations(slices)
    .map(({ host, port }) => `${host}:${port.number}`)
    .filter((address) => tried.has(address));
  const deaf = asked.filter((address) => tried.get(address) !== undefined);
  const [first] = deaf;
  if (asked.length === 0) return undefined;
  if (first === undefined) return good('containers', 'listen where the endpoints lead');
  const what = `${first} ${tried.get(first)}`;
  return tried.get(first) === 'refuses connections'
    ? bad(
        'containers',
        `${what}: nothing in the Pod listens on that port, or only on its loopback`,
        `kubectl -n ${namespace} get service ${service.metadata.name} -o yaml: its targetPort; kubectl logs of the Pod`,
      )
    : bad(
        'network',
        `${what}: no way to its node, or a policy holds this node back`,
        'ip route; kubectl get nodes -o wide; there: k8ts doctor',
      );
}

function kernel({ service, slices, rules }: ServiceFacts): Finding {
  const ip = service.spec?.clusterIP ?? '';
  if (ip === '' || ip === 'None') return good('proxy', 'headless: DNS answers with the Pods');
  const next = 'k8ts status, and the proxy log';
  if (!names(doorsIn(rules), ip)) {
    return bad('proxy', `the kernel of this node has no rule for ${ip}`, next);
  }
  const targets = destinations(slices).map(({ host }) => host);
  // The proxy in user space knows them itself.
  const isKernels = !rules.includes('KUBE-PORTALS');
  if (isKernels && targets.length > 0 && !targets.some((host) => names(rules, host))) {
    const what = `the rules for ${ip} in the kernel of this node lead to none of the endpoints: the proxy is behind`;
    return bad('proxy', what, next);
  }
  return good('proxy', `the kernel of this node has rules for ${ip}`);
}

/** Of iptables' rules only those where packets come in: others name the address too. */
function doorsIn(rules: string): string {
  const lines = rules.split('\n');
  const doors = lines.filter((line) => line.startsWith('-A KUBE-SERVICES '));
  const isIptables = lines.some((line) => line.startsWith(':KUBE-SERVICES '));
  return isIptables ? doors.join('\n') : rules;
}

/** Whether an address stands somewhere, and not as a part of another. */
function names(rules: string, address: string): boolean {
  const literal = address.replaceAll('.', '\\.');
  const [before, after] = address.includes(':')
    ? ['[\\da-f:]', '[\\da-f:]']
    : ['[\\d.]', '\\d|\\.\\d'];
  return new RegExp(`(?<!${before})${literal}(?!${after})`).test(rules);
}

/** Whether the Service itself could be connected to. */
function connection({ service, tried }: ServiceFacts): Finding | undefined {
  const ip = service.spec?.clusterIP ?? '';
  const asked = (service.spec?.ports ?? [])
    .map(({ port }) => `${ip}:${port}`)
    .filter((address) => tried.has(address));
  const wrong = asked.find((address) => tried.get(address) !== undefined);
  if (asked.length === 0) return undefined;
  return wrong === undefined
    ? good('connection', `this node reaches ${[...new Set(asked)].join(', ')}`)
    : bad(
        'proxy',
        `its endpoints answer this node, but ${wrong} ${tried.get(wrong)}`,
        `k8ts status; iptables-save | grep ${ip}: what other rules of this machine are in the way`,
      );
}

/** Whether it has the address from outside that it was promised. */
function balancer({ service }: ServiceFacts): Finding | undefined {
  if (service.spec?.type !== 'LoadBalancer') return undefined;
  const given = service.status?.loadBalancer?.ingress ?? [];
  const { name: own, namespace } = service.metadata;
  return given.length > 0
    ? good('load balancer', given.map(({ ip, hostname }) => ip ?? hostname).join(', '))
    : bad(
        'load balancer',
        'nobody has given it an address: service-lb is left out, or its port is taken on every node',
        `kubectl -n ${namespace} describe service ${own}`,
      );
}

function name({ service, dns }: ServiceFacts): Finding | undefined {
  if (dns === undefined) return undefined;
  const { name: own, namespace } = service.metadata;
  const called = `${own}.${namespace}.svc`;
  const next = 'k8ts doctor service kube-dns -n kube-system';
  if (typeof dns === 'string') return bad('dns', `${called}: ${dns}`, next);
  const ip = service.spec?.clusterIP;
  return ip && ip !== 'None' && !dns.includes(ip)
    ? bad('dns', `says that ${called} is ${dns.join(', ')}, and it is ${ip}`, next)
    : good('dns', `says that ${called} is ${dns.join(', ')}`);
}
