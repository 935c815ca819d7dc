import { beforeAll, describe, expect, it } from 'vitest';
import { K8TS_IMAGE } from '../../src/cluster/settings.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'dns');
const zone = 'dns.svc.cluster.local';
const port = [{ name: 'http', port: 80, targetPort: 8080 }];
const FOREVER = 'setInterval(() => {}, 1e6)';

/** A Pod of Node.js, to ask in every way that programs do. */
function nodePod(name: string, script = FOREVER, spec: object = {}) {
  const pod = shellPod(name, '', { image: K8TS_IMAGE, command: ['/usr/bin/node', '-e', script] });
  return { ...pod, spec: { ...(pod.spec as object), ...spec } };
}

/** The value of an expression of node:dns/promises, evaluated in the Pod; or the code of its error. */
async function inPod(expression: string, pod = 'client'): Promise<unknown> {
  const script = `const dns = require('dns/promises');
    (${expression}).catch((err) => err.code).then((value) => console.log(JSON.stringify(value)))`;
  return JSON.parse(await ns.kubectl('exec', pod, '--', '/usr/bin/node', '-e', script));
}

/** As `getent hosts`: by the C library, /etc/hosts and the search path. */
const lookup = (name: string, pod?: string) =>
  inPod(`dns.lookup('${name}').then(({ address }) => address)`, pod);
const ask = (name: string, type: string, pod?: string) =>
  inPod(`dns.resolve('${name}', '${type}')`, pod);

beforeAll(async () => {
  const system = ['-n', 'kube-system'];
  await cluster.kubectl(...system, 'wait', '--for=create', 'deployment/coredns', '--timeout=120s');
  await cluster.kubectl(...system, 'rollout', 'status', 'deployment/coredns', '--timeout=120s');
  await ns.apply(
    list(
      nodePod('client'),
      nodePod('member', FOREVER, { hostname: 'first', subdomain: 'group' }),
      service('web', { ports: port, selector: { app: 'member' } }),
      service('group', { ports: port, selector: { app: 'member' }, clusterIP: 'None' }),
      service('outside', { type: 'ExternalName', externalName: 'foo.example.com', ports: port }),
    ),
  );
  await ns.kubectl('wait', '--for=condition=Ready', 'pod/client', 'pod/member', '--timeout=120s');
  await eventually(
    'the server is there, and knows the last of the Services',
    async () => String(await ask(`outside.${zone}`, 'CNAME')) === 'foo.example.com',
  );
});

describe('from inside a Pod, cluster DNS', () => {
  it('is in resolv.conf, with the search path and ndots:5', async () => {
    const text = await ns.kubectl('exec', 'client', '--', '/usr/bin/node', '-p', READ_RESOLV_CONF);
    expect(text).toMatch(/^nameserver 10\.96\.0\.10$/m);
    expect(text).toMatch(new RegExp(`^search ${zone} svc.cluster.local cluster.local`, 'm'));
    expect(text).toMatch(/^options ndots:5$/m);
  });

  it('knows the API server, by any suffix of the search path', async () => {
    for (const name of ['kubernetes.default', 'kubernetes.default.svc.cluster.local']) {
      expect(await lookup(name)).toBe('10.96.0.1');
    }
    expect(await ask('kubernetes.default.svc.cluster.local', 'AAAA')).toBe('ENODATA');
    expect(await ask('_https._tcp.kubernetes.default.svc.cluster.local', 'SRV')).toMatchObject([
      { name: 'kubernetes.default.svc.cluster.local', port: 443, priority: 0, weight: 100 },
    ]);
  });

  it('knows a Service by its partial names, its port and its address', async () => {
    const { clusterIP } = (await ns.get('service', 'web')).spec;
    for (const name of ['web', 'web.dns', 'web.dns.svc', `web.${zone}`, `web.${zone}.`]) {
      expect(await lookup(name), name).toBe(clusterIP);
    }
    expect(await ask(`_http._tcp.web.${zone}`, 'SRV')).toMatchObject([
      { name: `web.${zone}`, port: 80, priority: 0, weight: 100 },
    ]);
    expect(await inPod(`dns.reverse('${clusterIP}')`)).toEqual([`web.${zone}`]);
  });

  it('knows the Pods of a headless Service, by host name and subdomain too', async () => {
    const { podIP } = (await ns.get('pod', 'member')).status;
    await eventually('the endpoint is known', async () => (await lookup('group')) === podIP);
    expect(await lookup('first.group')).toBe(podIP);
    expect(await ask(`first.group.${zone}`, 'A')).toEqual([podIP]);
    expect(await ask(`_http._tcp.group.${zone}`, 'SRV')).toMatchObject([
      { name: `first.group.${zone}`, port: 8080, priority: 0, weight: 100 },
    ]);
    expect(await inPod(`dns.reverse('${podIP}')`)).toEqual([`first.group.${zone}`]);
    expect(await ask(`${podIP.replaceAll('.', '-')}.dns.pod.cluster.local`, 'A')).toEqual([podIP]);
  });

  it("is not needed for a Pod's own names, which are in /etc/hosts", async () => {
    const { podIP } = (await ns.get('pod', 'member')).status;
    for (const name of ['first', `first.group.${zone}`]) {
      expect(await lookup(name, 'member'), name).toBe(podIP);
    }
    expect(await lookup('localhost', 'member')).toMatch(/^(127\.0\.0\.1|::1)$/);
  });

  it('denies what does not exist, and says when there is no record of a type', async () => {
    expect(await ask(`nobody.${zone}`, 'A')).toBe('ENOTFOUND');
    expect(await ask(`web.${zone}`, 'AAAA')).toBe('ENODATA');
  });

  it('follows a Service from ExternalName to another name and to an address', async () => {
    const name = `outside.${zone}`;
    expect(await ask(name, 'CNAME')).toEqual(['foo.example.com']);
    await ns.apply(
      service('outside', { type: 'ExternalName', externalName: 'bar.example.com', ports: port }),
    );
    await eventually(
      'the new name',
      async () => String(await ask(name, 'CNAME')) === 'bar.example.com',
    );
    await ns.apply(service('outside', { type: 'ClusterIP', externalName: null, ports: port }));
    const { clusterIP } = (await ns.get('service', 'outside')).spec;
    await eventually('the address', async () => String(await ask(name, 'A')) === clusterIP);
  });
});

describe('another server', () => {
  // The world's name servers, played by a Pod; and `k8ts dns` in a Pod that is told to forward to it.
  it('is asked for all other names, and a Pod may choose its own servers and search path', async () => {
    await cluster.apply(binding('dns'));
    await ns.apply(nodePod('world', WORLD));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/world', '--timeout=120s');
    const world = (await ns.get('pod', 'world')).status.podIP;
    const server = shellPod('server', '', {
      image: K8TS_IMAGE,
      command: null,
      args: ['dns', `--upstream=${world}`],
      readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    });
    await ns.apply(server);
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/server', '--timeout=120s');
    const dnsConfig = {
      nameservers: [(await ns.get('pod', 'server')).status.podIP],
      searches: ['resolv.conf.local'],
      options: [{ name: 'ndots', value: '2' }],
    };
    await ns.apply(nodePod('chooser', FOREVER, { dnsPolicy: 'None', dnsConfig }));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/chooser', '--timeout=120s');
    // The world's server has no probe: that it runs does not say that it listens.
    await eventually(
      'the world answers',
      async () => String(await ask('www.example.com', 'A', 'chooser')) === '192.0.2.33',
    );
    expect(await lookup('notexistname', 'chooser')).toBe('192.0.2.33'); // With the search path.
    expect(await lookup('kubernetes.default.svc.cluster.local', 'chooser')).toBe('10.96.0.1');
    const text = await ns.kubectl('exec', 'chooser', '--', '/usr/bin/node', '-p', READ_RESOLV_CONF);
    expect(text).toMatch(/^search resolv\.conf\.local$/m);
    expect(text).toMatch(/^options ndots:2$/m);
  });
});

const READ_RESOLV_CONF = "require('fs').readFileSync('/etc/resolv.conf', 'utf8')";

/** Answers every question with 192.0.2.33. */
const WORLD = `
  const socket = require('dgram').createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5;
    const head = Buffer.from(query.subarray(0, end));
    head[2] = 0x81; head[3] = 0x80; head[7] = 1; head[11] = 0;
    const isA = query[end - 3] === 1;
    head[7] = isA ? 1 : 0;
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 33]);
    socket.send(isA ? Buffer.concat([head, record]) : head, port, address);
  });
  socket.bind(53);
`;

function binding(namespace: string) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'dns-test' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' },
    subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
  };
}
