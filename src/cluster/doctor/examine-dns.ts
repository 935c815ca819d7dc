import { Resolver } from 'node:dns/promises';
import { ENDPOINT_SLICES } from '../../api/resource-types.ts';
import type { Client } from '../../client/client.ts';
import { errnoOf, errorMessage } from '../../util/errors.ts';
import type { ClusterSettings } from '../settings.ts';
import { bad, type Finding, good } from './findings.ts';

const WITHIN_MS = 2000;
const SERVICE = { namespace: 'kube-system', name: 'kube-dns' };

type Zone = Pick<ClusterSettings, 'dnsIp' | 'domain'>;

/** Whether cluster DNS answers this node. */
export async function dnsFinding(
  client: Client,
  zone: Zone,
  signal: AbortSignal,
): Promise<Finding> {
  const { namespace, name } = SERVICE;
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const { items } = await client.list(ENDPOINT_SLICES, { namespace, labelSelector }, signal);
  const ready = items.flatMap(({ endpoints }) =>
    (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false),
  );
  if (ready.length === 0) {
    return bad(
      'dns',
      `no Pod of cluster DNS is ready (${zone.dnsIp})`,
      'k8ts doctor pod coredns -n kube-system',
    );
  }
  const known = `kubernetes.default.svc.${zone.domain}`;
  const answer = await addressesOf(known, zone);
  return typeof answer === 'string'
    ? bad(
        'dns',
        `${zone.dnsIp} does not tell ${known}: ${answer}`,
        `k8ts doctor service ${name} -n ${namespace}`,
      )
    : good('dns', `${zone.dnsIp} answers`);
}

/** What cluster DNS says of a name, or why it says nothing. */
export async function addressesOf(
  name: string,
  { dnsIp }: Pick<Zone, 'dnsIp'>,
): Promise<string[] | string> {
  const resolver = new Resolver({ timeout: WITHIN_MS, tries: 2 });
  resolver.setServers([dnsIp]);
  try {
    return await resolver.resolve4(name);
  } catch (err) {
    const reasons: Record<string, string> = {
      ENOTFOUND: 'it knows no such name',
      ENODATA: 'it knows no address of that name',
      ETIMEOUT: 'no answer',
      ECONNREFUSED: 'no answer',
      ESERVFAIL: 'it says that it has failed',
    };
    return reasons[errnoOf(err) ?? ''] ?? errorMessage(err);
  }
}
