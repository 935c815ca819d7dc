import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { ApiRequest } from '../support/network/api-harness.ts';
import { NamespaceProcess } from '../support/network/namespace-process.ts';
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts';

let network: NetworkNamespace;
let api: NamespaceProcess;
let kubeconfig: string;
let proxy: ChildProcess | undefined;

beforeAll(async () => {
  network = await createNetworkNamespace();
  api = new NamespaceProcess(network.name, 'api-harness');
  await api.whenReady();
  kubeconfig = await api.ask<string>({ op: 'kubeconfig' } satisfies ApiRequest);
  await create('/api/v1/nodes', { metadata: { name: 'node-a' } });
  await create('/api/v1/namespaces/default/services', {
    metadata: { name: 'web' },
    spec: { type: 'NodePort', ports: [{ name: 'p', port: 80, targetPort: 8080 }] },
  });
  await create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'web-a', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.244.0.9'], conditions: { ready: true } }],
  });
});
afterEach(async () => await stopProxy());
afterAll(async () => {
  await api.stop();
  await network.remove();
});

async function create(path: string, body: object): Promise<void> {
  const answer = await api.ask<{ status: number }>({
    op: 'request',
    method: 'POST',
    path,
    body,
  } satisfies ApiRequest);
  expect(answer).toMatchObject({ status: 201 });
}

const command = (...args: string[]) => ['src/cli/cli.ts', 'proxy', ...args];

function startProxy(mode: string, ...more: string[]): void {
  const [program = '', ...enter] = network.enter;
  const args = command('--kubeconfig', kubeconfig, '--hostname-override', 'node-a');
  proxy = spawn(program, [...enter, process.execPath, ...args, '--proxy-mode', mode, ...more], {
    stdio: 'ignore',
  });
}

async function stopProxy(): Promise<void> {
  if (!proxy) return;
  const exited = once(proxy, 'exit');
  proxy.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  proxy = undefined;
}

async function get(url: string): Promise<string> {
  return (await network.run('curl', ['-s', '-f', '-m', '5', url])).stdout;
}

async function synced(): Promise<void> {
  await eventually('the proxy is healthy', () => get('http://127.0.0.1:10256/healthz'));
}

describe('k8ts proxy', () => {
  it('answers for its health, its mode, its configuration and its metrics', async () => {
    startProxy('nftables');
    await synced();
    expect(JSON.parse(await get('http://127.0.0.1:10256/livez'))).toMatchObject({
      lastUpdated: expect.any(String),
    });
    expect(await get('http://127.0.0.1:10249/proxyMode')).toBe('nftables');
    expect(await get('http://127.0.0.1:10249/configz')).toContain('kubeproxy.config.k8s.io');
    expect(await get('http://127.0.0.1:10249/healthz')).toBe('ok');
    expect(await get('http://127.0.0.1:10249/metrics/slis')).toContain(
      'kubernetes_healthcheck{name="ping",type="healthz"} 1',
    );
    const metrics = await get('http://127.0.0.1:10249/metrics');
    for (const name of [
      'kubeproxy_sync_proxy_rules_duration_seconds',
      'kubeproxy_network_programming_duration_seconds',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'kubeproxy_sync_proxy_rules_service_changes_total',
      'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    ]) {
      expect(metrics).toContain(name);
    }
  });

  // A kernel that has it is asked for it in the virtual machine.
  it.skipIf(existsSync('/proc/net/ip_vs'))(
    'goes on in mode iptables where the kernel has no IPVS, and says what is missing',
    async () => {
      startProxy('ipvs');
      await synced();
      expect(await get('http://127.0.0.1:10249/proxyMode')).toBe('iptables');
      expect((await network.run('iptables-save', [])).stdout).toContain('KUBE-SVC-');
      await eventually('an event tells it', async () => {
        const { body } = await api.ask<{ body: { items: { reason: string; message: string }[] } }>({
          op: 'request',
          path: '/api/v1/events',
        });
        const event = body.items.find(({ reason }) => reason === 'ProxyModeUnavailable');
        return event && /kernel module ip_vs is missing|not installed/.test(event.message);
      });
    },
  );

  it.each(['iptables', 'nftables', 'userspace'])(
    'removes all that mode %s has written when asked to clean up',
    async (mode) => {
      const written = async () =>
        (await network.run('sh', ['-c', 'iptables-save; ip6tables-save; nft list ruleset'])).stdout;
      startProxy(mode);
      await synced();
      expect(await written()).toMatch(/KUBE-SERVICES|table ip kube-proxy/);
      await stopProxy();
      await network.run(process.execPath, command('--cleanup'));
      expect(await written()).not.toMatch(/KUBE-|kube-proxy/);
    },
  );

  it('takes policies out of the kernel that it is not to enforce', async () => {
    const chains = async () => (await network.run('iptables-save', ['-t', 'mangle'])).stdout;
    await network.run('iptables', ['-t', 'mangle', '-N', 'K8TS-NP']);
    await network.run('nft', ['add', 'table', 'inet', 'k8ts-network-policy']);
    startProxy('iptables', '--network-policy=false');
    await eventually('none are left', async () => {
      const { stdout } = await network.run('nft', ['list', 'tables']);
      return !/k8ts-network-policy/.test(stdout) && !/K8TS-NP/.test(await chains());
    });
    await stopProxy();
    // Of two ways to enforce them, the other one's rules go.
    await network.run('iptables', ['-t', 'mangle', '-N', 'K8TS-NP']);
    startProxy('nftables');
    await eventually('they are gone', async () => !/K8TS-NP/.test(await chains()));
  });

  it('refuses a mode and a scheduler that there are not', async () => {
    const refused = async (...args: string[]) =>
      await network.run(process.execPath, command(...args), { acceptExitCodes: [1, 2] });
    expect((await refused('--proxy-mode', 'magic')).stderr).toMatch(/Allowed choices are/);
    expect((await refused('--ipvs-scheduler', 'magic')).stderr).toMatch(
      /ipvs.scheduler: Unsupported value: "magic"/,
    );
  });
});
