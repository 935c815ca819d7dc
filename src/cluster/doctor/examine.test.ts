import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { Lease, Node } from '../../api/types.ts';
import { ask, connectionProblem } from './ask.ts';
import { apiFinding, leaderFinding, nodeFinding, versionsOf } from './examine-cluster.ts';
import { afterStore, doorsOf, etcdFindings, reasonIn, wordsOf } from './examine-health.ts';
import {
  addressFinding,
  cgroupFinding,
  diskFinding,
  driverFinding,
  expiryFindings,
  inotifyFinding,
  podRangeFinding,
  resolverFinding,
} from './examine-machine.ts';
import { bad, good } from './findings.ts';

const NOW = Date.parse('2026-01-01T00:01:00Z');

describe('what the doctor sees of a machine', () => {
  it('tells the version of cgroups, and a kubelet and a runtime that do not agree', () => {
    expect(cgroupFinding('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0')).toMatchObject({
      what: 'version 2',
    });
    expect(cgroupFinding('x /sys/fs/cgroup/cpu cgroup rw,cpu 0 0')).toMatchObject({ ok: true });
    expect(cgroupFinding('proc /proc proc rw 0 0')).toMatchObject({ ok: false });
    const containerd = '  SystemdCgroup = false\n';
    expect(driverFinding('{"cgroupDriver":"cgroupfs"}', containerd)).toMatchObject({ ok: true });
    expect(driverFinding('{"cgroupDriver":"systemd"}', containerd)).toMatchObject({
      ok: false,
      what: 'the kubelet uses systemd, containerd cgroupfs',
    });
  });

  it('tells a certificate that lapses soon, and one that has', () => {
    const day = 24 * 60 * 60 * 1000;
    const ends = (days: number) => new Map([['admin.conf', new Date(NOW + days * day)]]);
    expect(expiryFindings(ends(300), NOW)).toMatchObject([
      { ok: true, what: 'the first lapses in 300 days' },
    ]);
    expect(expiryFindings(ends(10), NOW)).toMatchObject([
      { ok: false, what: 'admin.conf is good for 10 days', next: 'k8ts certs renew all' },
    ]);
    expect(expiryFindings(ends(-2), NOW)).toMatchObject([{ what: 'admin.conf has lapsed' }]);
  });

  it('tells a disk without room, by its own measure', () => {
    const disk = { directory: '/store', freeMib: 500, sizeMib: 100_000, hasInodes: true };
    expect(diskFinding(disk)).toMatchObject({
      ok: false,
      what: 'only 500 MiB are free for /store',
    });
    expect(diskFinding({ ...disk, sizeMib: 1000 })).toMatchObject({ ok: true });
    expect(diskFinding({ ...disk, sizeMib: 1000, hasInodes: false })).toMatchObject({ ok: false });
  });

  it('tells limits of inotify that are soon used up', () => {
    expect(inotifyFinding('instances', 128, 256)).toMatchObject({
      ok: false,
      next: 'sysctl -w fs.inotify.max_user_instances=1024',
    });
    expect(inotifyFinding('instances', 8192, 256)).toMatchObject({ ok: true });
  });

  it('tells an address of no interface, and a loop of DNS', () => {
    expect(addressFinding({ nodeIp: '10.0.2.15' }, ['192.0.2.1'])).toMatchObject({
      ok: false,
      what: expect.stringMatching(/no interface of this machine has \(192\.0\.2\.1\)/),
    });
    const zone = { dnsIp: '10.96.0.10' };
    expect(resolverFinding(zone, 'nameserver 10.96.0.10\n').what).toMatch(/a loop$/);
    expect(resolverFinding(zone, '').ok).toBe(false);
    expect(resolverFinding(zone, 'nameserver 192.0.2.53\n').ok).toBe(true);
  });

  it('tells another network that has the range of its Pods', () => {
    const range = '10.244.0.0/24';
    const own = `${range} dev cni0 proto kernel scope link src 10.244.0.1`;
    expect(podRangeFinding(range, own)).toMatchObject({ ok: true });
    expect(podRangeFinding(range, `${own.replace('cni0', 'cbr0')} linkdown\n${own}`)).toMatchObject(
      {
        ok: false,
        what: expect.stringMatching(/go to cbr0 too/),
      },
    );
  });

  it('asks each component that the machine has', () => {
    const names = (store: 'lmdb' | 'stacked', joined: boolean, disabled: string[] = []) =>
      doorsOf({ disabled, store, port: 6443 }, { joined }).map(({ name }) => name);
    expect(names('lmdb', false)).toEqual([
      ...['kubelet', 'proxy', 'apiserver', 'controller-manager', 'scheduler'],
    ]);
    expect(names('stacked', false, ['kube-proxy'])).toContain('etcd');
    expect(names('stacked', true, ['kube-proxy'])).toEqual(['kubelet']);
  });

  it('sends nobody to an API server whose etcd is the cause', () => {
    const server = bad('apiserver', 'says 500', 'kill it');
    const next = (etcd: boolean) => {
      const store = etcd ? good('etcd', 'runs') : bad('etcd', 'has no leader', 'look');
      return afterStore([store, server]).at(-1)?.next;
    };
    expect(next(true)).toBe('kill it');
    expect(next(false)).toMatch(/its etcd right first/);
  });

  it('reads what a health endpoint misses, and the last words of a process', () => {
    expect(reasonIn('[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n')).toBe(
      'etcd failed: reason withheld',
    );
    expect(reasonIn('{"health":"false","reason":"RAFT NO LEADER"}')).toMatch(/^no leader/);
    expect(wordsOf('{"level":60,"msg":"Stopped","err":{"message":"no disk"}}')).toBe(
      'Stopped: no disk',
    );
    expect(wordsOf('{"level":30,"msg":"Serving"}')).toBeUndefined();
    expect(wordsOf('{"level":"fatal","msg":"cannot listen"}')).toBe('cannot listen');
    expect(wordsOf('k8ts: data.mdb is damaged')).toBe('k8ts: data.mdb is damaged');
    expect(wordsOf('Listening')).toBeUndefined();
    expect(reasonIn('{"lastUpdated":"now","currentTime":"now"}')).toMatch(/^the kernel has not/);
  });
});

describe('what the doctor sees of a cluster', () => {
  it('tells who leads, and who does not any more', () => {
    const lease = { holderIdentity: 'a_1', leaseDurationSeconds: 15 };
    const at = (renewTime: string) => leaderFinding('kube-scheduler', { ...lease, renewTime }, NOW);
    expect(at('2026-01-01T00:00:55Z')).toMatchObject({ ok: true, what: 'a_1 leads' });
    expect(at('2026-01-01T00:00:00Z')).toMatchObject({
      ok: false,
      what: 'a_1 led, and has not said so for 60 s',
    });
    expect(leaderFinding('kube-scheduler', {}, NOW)).toMatchObject({ what: 'nobody leads' });
  });

  it('tells nodes that are not Ready, under pressure, silent, or of another time', () => {
    const node = (...conditions: object[]) =>
      ({ metadata: { name: 'a' }, spec: {}, status: { conditions } }) as unknown as Node;
    const lease = (renewTime: string) => ({ spec: { renewTime } }) as unknown as Lease;
    const ready = { type: 'Ready', status: 'True' };
    const well = lease('2026-01-01T00:00:55Z');
    const wrong = (one: Node, its: Lease | undefined) =>
      nodeFinding(one, its, NOW)
        .filter(({ ok }) => !ok)
        .map(({ what }) => what);
    expect(wrong(node(ready), well)).toEqual([]);
    expect(wrong(node({ ...ready, status: 'False', message: 'no CNI' }), well)).toEqual([
      'is not Ready: no CNI',
    ]);
    const pressure = { type: 'DiskPressure', status: 'True', message: 'disk full' };
    expect(wrong(node(ready, pressure), well)).toEqual(['DiskPressure: disk full']);
    expect(wrong(node(ready), lease('2026-01-01T00:02:00Z'))[0]).toMatch(/60 s ahead/);
    expect(wrong(node(ready), lease('2026-01-01T00:00:00Z'))[0]).toMatch(/its clock is behind/);
  });

  it('tells kubelets whose version does not fit', () => {
    const node = (kubeletVersion: string) =>
      ({ metadata: { name: 'a' }, status: { nodeInfo: { kubeletVersion } } }) as unknown as Node;
    expect(versionsOf('v1.36.2', [node('v1.33.0')])[0]).toMatchObject({ ok: true });
    for (const version of ['v1.32.0', 'v1.37.0']) {
      expect(versionsOf('v1.36.2', [node(version)])[0]).toMatchObject({ ok: false });
    }
  });
});

describe('the questions of the doctor', () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  async function server(status: number, body: string): Promise<number> {
    const made = createServer((_, res) => res.writeHead(status).end(body));
    stops.push(() => made.close());
    await once(made.listen(0, '127.0.0.1'), 'listening');
    return (made.address() as { port: number }).port;
  }

  it('name what an API server lacks, and one that does not answer', async () => {
    const port = await server(500, '[-]etcd failed: reason withheld\n');
    const url = `http://127.0.0.1:${port}`;
    expect(await ask(url)).toMatchObject({ status: 500 });
    expect(await apiFinding(url)).toMatchObject({
      ok: false,
      what: 'is not ready: etcd failed: reason withheld',
    });
    expect(await connectionProblem('127.0.0.1', port)).toBeUndefined();
    expect(await connectionProblem('127.0.0.1', 1)).toBe('refuses connections');
    expect((await apiFinding('http://127.0.0.1:1')).what).toMatch(/^does not answer at/);
  });

  it('go on where the certificate for etcd is missing, and name it', async () => {
    const externalEtcd = {
      servers: 'https://127.0.0.1:1,https://127.0.0.1:2',
      caFile: '/nowhere/ca.crt',
      certFile: '/nowhere/client.crt',
      keyFile: '/nowhere/client.key',
    };
    const found = await etcdFindings({ externalEtcd });
    expect(found.map(({ ok }) => ok)).toEqual([false, false]);
    expect(found[0]?.what).toContain('/nowhere/client.crt');
  });
});
