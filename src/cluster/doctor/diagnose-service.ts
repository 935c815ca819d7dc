import { formatSelector, fromMap, matches } from '../../api/labels.ts';
import type { EndpointSlice, Pod, Service } from '../../api/types.ts';
import { bad, type Finding, good } from './findings.ts';

/** All that is known of a Service that does not answer. */
export interface ServiceFacts {
  readonly service: Service;
  /** All Pods of its namespace. */
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
  /** What the kernel of this node holds: iptables-save, the nft rule set, IPVS. */
  readonly rules: string;
}

/** Walks the way of a connection: selector, ready Pods, endpoints, rules in the kernel. Pure. */
export function diagnoseService(facts: ServiceFacts): Finding[] {
  const { service } = facts;
  if (service.spec?.type === 'ExternalName') {
    return [good('dns', `an alias for ${service.spec.externalName}; nothing else routes it`)];
  }
  const found: Finding[] = [];
  for (const look of [selector, readyPods, endpoints, kernel]) {
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
  const { service } = facts;
  const { name, namespace } = service.metadata;
  const wanted = service.spec?.selector ?? {};
  if (Object.keys(wanted).length === 0) {
    return good('selector', 'none: its endpoints are made by hand');
  }
  const text = formatSelector(fromMap(wanted));
  const count = chosen(facts).length;
  if (count > 0) return good('selector', `${text} chooses ${count} Pods`);
  return bad(
    'selector',
    `no Pod of ${namespace} has the labels ${text}`,
    `kubectl -n ${namespace} get pods --show-labels; kubectl -n ${namespace} get service ${name} -o wide`,
  );
}

function readyPods(facts: ServiceFacts): Finding | undefined {
  const pods = chosen(facts);
  if (pods.length === 0) return undefined;
  const ready = pods.filter(({ status }) =>
    (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );
  if (ready.length > 0) return good('pods', `${ready.length} of ${pods.length} are ready`);
  const [first] = pods;
  return bad(
    'pods',
    `none of ${pods.length} is ready`,
    `k8ts doctor pod ${first?.metadata.name} -n ${first?.metadata.namespace}`,
  );
}

function endpoints({ service, slices }: ServiceFacts): Finding {
  const { name, namespace } = service.metadata;
  const addresses = slices.flatMap(({ endpoints: all }) =>
    (all ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap((one) => one.addresses),
  );
  const next = `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
  if (addresses.length === 0) {
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
      `kubectl -n ${namespace} get service ${name} -o yaml`,
    );
  }
  return good('endpoints', addresses.join(', '));
}

function kernel({ service, rules }: ServiceFacts): Finding {
  const ip = service.spec?.clusterIP ?? '';
  if (ip === '' || ip === 'None') return good('proxy', 'headless: DNS answers with the Pods');
  if (rules.includes(ip)) return good('proxy', `the kernel of this node has rules for ${ip}`);
  return bad(
    'proxy',
    `the kernel of this node has no rule for ${ip}`,
    'k8ts status, and the proxy log',
  );
}
