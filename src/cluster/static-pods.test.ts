import { describe, expect, it } from 'vitest';
import { parseYaml } from '../api/yaml.ts';
import { pathsUnder } from './paths.ts';
import { type ClusterSettings, DEFAULT_SETTINGS } from './settings.ts';
import { keptOf, type StaticPodManifest, staticPodManifests } from './static-pods.ts';

const settings: ClusterSettings = {
  ...DEFAULT_SETTINGS,
  nodeName: 'node-1',
  nodeIp: '192.0.2.1',
  staticPods: true,
  store: 'stacked',
};

// What kubeadm v1.36 writes into the manifests of its components.
const KUBEADM: Record<string, string> = {
  'kube-apiserver':
    'advertise-address allow-privileged authorization-mode client-ca-file enable-admission-plugins ' +
    'enable-bootstrap-token-auth etcd-cafile etcd-certfile etcd-keyfile etcd-servers kubelet-client-certificate ' +
    'kubelet-client-key kubelet-preferred-address-types proxy-client-cert-file proxy-client-key-file ' +
    'requestheader-allowed-names requestheader-client-ca-file requestheader-extra-headers-prefix ' +
    'requestheader-group-headers requestheader-username-headers secure-port service-account-issuer ' +
    'service-account-key-file service-account-signing-key-file service-cluster-ip-range tls-cert-file tls-private-key-file',
  'kube-controller-manager':
    'allocate-node-cidrs authentication-kubeconfig authorization-kubeconfig bind-address client-ca-file cluster-cidr ' +
    'cluster-name cluster-signing-cert-file cluster-signing-key-file controllers kubeconfig leader-elect ' +
    'requestheader-client-ca-file root-ca-file service-account-private-key-file service-cluster-ip-range ' +
    'use-service-account-credentials',
  'kube-scheduler':
    'authentication-kubeconfig authorization-kubeconfig bind-address kubeconfig leader-elect',
  etcd:
    'advertise-client-urls cert-file client-cert-auth data-dir experimental-initial-corrupt-check ' +
    'initial-advertise-peer-urls initial-cluster key-file listen-client-urls listen-metrics-urls listen-peer-urls name ' +
    'peer-cert-file peer-client-cert-auth peer-key-file peer-trusted-ca-file pre-vote snapshot-count trusted-ca-file',
};

// Of upstream too, for what k8ts sets besides.
const MORE =
  'bind-address encryption-provider-config initial-cluster-state kubelet-certificate-authority secure-port ' +
  'service-node-port-range shutdown-delay-duration';

interface Manifest {
  spec: { containers: { command: string[]; args?: string[] }[] };
}

function manifest(name: string, of = settings): StaticPodManifest {
  const found = staticPodManifests(pathsUnder('/'), of).find((one) => one.name === name);
  if (!found) throw new Error(`There is no manifest of ${name}`);
  return found;
}

async function commandOf(name: string): Promise<string[]> {
  const pod = (await parseYaml(await manifest(name).text({}))) as Manifest;
  return pod.spec.containers[0]?.command ?? [];
}

const flagsOf = (command: readonly string[]) =>
  command.slice(1).map((word) => /^--([^=]+)=/.exec(word)?.[1] ?? word);

describe('staticPodManifests', () => {
  it.each(Object.keys(KUBEADM))(
    'gives %s the flags of kubeadm and none that upstream lacks',
    async (name) => {
      const command = await commandOf(name);
      expect(command[0]).toBe(name);
      const flags = flagsOf(command);
      const wanted = (KUBEADM[name] ?? '').split(' ');
      for (const flag of wanted) expect(flags).toContain(flag);
      const known = [...wanted, ...MORE.split(' ')];
      expect(flags.filter((flag) => !known.includes(flag))).toEqual([]);
    },
  );

  it('starts no etcd where the store is elsewhere', async () => {
    const external = {
      ...settings,
      store: 'external' as const,
      externalEtcd: { servers: 'https://e:2379' },
    };
    const names = staticPodManifests(pathsUnder('/'), external).map(({ name }) => name);
    expect(names).toEqual(['kube-apiserver', 'kube-controller-manager', 'kube-scheduler']);
    const text = await manifest('kube-apiserver', external).text({});
    expect(text).toContain('--etcd-servers=https://e:2379');
  });

  it("keeps an operator's image and the last replacement", async () => {
    const { text } = manifest('kube-scheduler');
    const first = await text({});
    expect(await text(await keptOf(first))).toBe(first);
    const kept = { image: 'registry.k8s.io/kube-scheduler:v1.36.0', replacedAt: '2026-01-01' };
    const second = await text(kept);
    expect(await keptOf(second)).toEqual(kept);
    expect(await keptOf(undefined)).toEqual({});
    expect(await keptOf('a: [')).toEqual({});
  });
});
