import { beforeAll, describe, expect, it } from 'vitest';
import { K8TS_IMAGE } from '../../src/cluster/settings.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod, webPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

// What conformance asks of Services that real Pods stand behind.
const cluster = sharedCluster();
const ns = testNamespace(cluster, 'service-life');
const { address } = cluster.network;
const WEB = { selector: { tier: 'web' }, ports: [{ port: 80, targetPort: 8080 }] };

/** A Pod that answers with its name, of the Service `WEB`. */
function backEnd(name: string, container: object = {}) {
  const readinessProbe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };
  const pod = webPod(name, { readinessProbe, ...container });
  return { ...pod, metadata: { name, labels: { app: name, tier: 'web' } } };
}

beforeAll(async () => {
  await ns.apply(
    list(backEnd('web-1'), backEnd('web-2'), backEnd('web-3'), shellPod('client', 'sleep 3600')),
  );
  await ns.kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s');
});

/** Who answers, asked from a Pod; undefined: nobody. */
async function ask(url: string): Promise<string | undefined> {
  const wget = ['exec', 'client', '--', 'timeout', '2', 'wget', '-q', '-O', '-', url];
  const args = ['-n', ns.name, ...wget];
  const { stdout } = await cluster.tryKubectl(args, { acceptExitCodes: [0, 1, 124, 143] });
  return stdout.trim() || undefined;
}

/** The names in twelve answers, asked in one go. */
async function askOften(url: string): Promise<string[]> {
  const loop = `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do timeout 2 wget -q -O - ${url}; done`;
  const text = await ns.kubectl('exec', 'client', '--', 'sh', '-c', loop);
  return [...new Set(text.trim().split('\n'))].sort();
}

const answeredBy = (url: string, count: number) =>
  eventually(`${count} of the Pods answer at ${url}`, async () => {
    const names = await askOften(url);
    return names.length === count && names.every((name) => name.startsWith('web-'));
  });
const ready = (count: number, name: string) =>
  eventually(`${count} endpoints of ${name}`, async () => {
    const label = `kubernetes.io/service-name=${name}`;
    const { items } = await ns.get('endpointslices', '-l', label);
    const endpoints = items.flatMap((item: { endpoints?: object[] }) => item.endpoints ?? []);
    return (
      endpoints.filter((e: { conditions: { ready: boolean } }) => e.conditions.ready).length ===
      count
    );
  });

describe('a Service', () => {
  it('goes from ExternalName to NodePort and back, by name and by port', async () => {
    const outside = { type: 'ExternalName', externalName: 'example.com' };
    const cname = async () =>
      (await ns.kubectl('exec', 'client', '--', 'sh', '-c', 'nslookup -type=cname turn || true')) +
      (await ns.kubectl(
        'exec',
        'client',
        '--',
        'sh',
        '-c',
        'nslookup -type=cname turn.service-life.svc.cluster.local || true',
      ));
    await ns.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'turn' },
      spec: outside,
    });
    await eventually('the other name', async () => (await cname()).includes('example.com'));
    for (const type of ['ClusterIP', 'NodePort']) {
      await ns.kubectl(
        'patch',
        'service',
        'turn',
        '--type=merge',
        '-p',
        patch({ ...WEB, type, externalName: null }),
      );
      await eventually('the name leads to Pods', async () =>
        (await ask('http://turn/'))?.startsWith('web-'),
      );
    }
    const { nodePort } = (await ns.get('service', 'turn')).spec.ports[0];
    await answeredBy(`http://${address}:${nodePort}/`, 3);
    expect(await cluster.fetch(`http://${address}:${nodePort}/`)).toMatch(/^web-/);
    await ns.kubectl('patch', 'service', 'turn', '--type=merge', '-p', patch(outside));
    await eventually('the other name again', async () => (await cname()).includes('example.com'));
    await eventually(
      'nobody at the port',
      async () => (await ask(`http://${address}:${nodePort}/`)) === undefined,
    );
  });

  it('keeps a client with its Pod for as long as it is told to', async () => {
    await ns.apply(service('sticky', { ...WEB, type: 'NodePort', sessionAffinity: 'ClientIP' }));
    const { clusterIP, ports } = (await ns.get('service', 'sticky')).spec;
    const urls = [`http://${clusterIP}/`, `http://${address}:${ports[0].nodePort}/`];
    for (const [sessionAffinity, count] of [
      ['ClientIP', 1],
      ['None', 3],
      ['ClientIP', 1],
    ] as const) {
      await ns.kubectl('patch', 'service', 'sticky', '-p', patch({ sessionAffinity }));
      for (const url of urls) await answeredBy(url, count);
    }
  });

  it('follows its Pods: endpoints come with them and go with them', async () => {
    await ns.apply(service('empty', { selector: { tier: 'none' } }));
    await eventually(
      'Endpoints without addresses',
      async () => (await ns.get('endpoints', 'empty')).subsets === undefined,
    );
    await ready(0, 'empty');
    await ns.apply(service('full', WEB));
    await ready(3, 'full');
    // They come from a controller of their own, not with the slices.
    await eventually('Endpoints with the same Pods', async () => {
      const { subsets } = await ns.get('endpoints', 'full');
      const names = subsets[0].addresses.map(
        ({ targetRef }: { targetRef: { name: string } }) => targetRef.name,
      );
      return names.sort().join() === 'web-1,web-2,web-3';
    });
    await ns.kubectl('label', 'pod', 'web-3', 'tier=other', '--overwrite');
    await ready(2, 'full');
    await ns.kubectl('label', 'pod', 'web-3', 'tier=web', '--overwrite');
    await ready(3, 'full');
    await ns.kubectl('delete', 'service', 'full', 'empty');
    await eventually('its endpoints are gone', async () => {
      const slices = await ns.get(
        'endpointslices',
        '-l',
        'kubernetes.io/service-name in (full, empty)',
      );
      const { items } = await ns.get('endpoints');
      const left = items.filter(({ metadata }: { metadata: { name: string } }) =>
        ['full', 'empty'].includes(metadata.name),
      );
      return slices.items.length === 0 && left.length === 0;
    });
  });

  it('publishes Pods that are not ready where it is told to', async () => {
    const never = { readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 } };
    const pod = {
      ...webPod('unready', never),
      metadata: { name: 'unready', labels: { tier: 'unready' } },
    };
    const spec = { ...WEB, selector: { tier: 'unready' } };
    await ns.apply(
      list(
        pod,
        service('careful', spec),
        service('all', { ...spec, publishNotReadyAddresses: true }),
      ),
    );
    await eventually('it answers', async () => (await ask('http://all/')) === 'unready');
    expect(await ask('http://careful/')).toBeUndefined();
  });

  it('has ports of several numbers and protocols', async () => {
    const pod = shellPod('both', '', { image: K8TS_IMAGE, command: ['/usr/bin/node', '-e', BOTH] });
    const ports = [
      { name: 'tcp', port: 80, targetPort: 8080 },
      { name: 'more', port: 81, targetPort: 8081 },
      { name: 'udp', port: 80, targetPort: 8080, protocol: 'UDP' },
    ];
    await ns.apply(list(pod, service('both', { ports })));
    await eventually('the first port', async () => (await ask('http://both/')) === 'port 8080');
    await eventually('the second', async () => (await ask('http://both:81/')) === 'port 8081');
    const { clusterIP } = (await ns.get('service', 'both')).spec;
    const { podIP } = (await ns.get('pod', 'both')).status;
    for (const target of [`${clusterIP}:80`, `${podIP}:8080`]) {
      await eventually(`a datagram from ${target}`, async () => {
        const args = ['-t', '1', '-', `UDP4:${target}`];
        return (await cluster.network.run('socat', args, { input: '?' })).stdout === 'datagram';
      });
    }
  });
});

/** HTTP on two ports, and datagrams on the number of the first. */
const BOTH = `
  for (const port of [8080, 8081]) {
    require('http').createServer((_, answer) => answer.end('port ' + port)).listen(port);
  }
  const socket = require('dgram').createSocket('udp4');
  socket.on('message', (_, { port, address }) => socket.send('datagram', port, address));
  socket.bind(8080);
`;

function patch(spec: object): string {
  return JSON.stringify({ spec });
}
