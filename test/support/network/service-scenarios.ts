import assert from 'node:assert/strict';
import { answeredBy, eventually, PATIENCE_MS, patiently, unique } from './answers.ts';
import {
  ADDRESSES,
  type Answer,
  type NetworkWorld,
  NODE_IP,
  type PodName,
  TIMEOUT_MS,
} from './network-world.ts';
import type { Scenario } from './proxy-scenarios.ts';
import { service, slice } from './service-objects.ts';

const WEB = { name: 'p', port: 80, protocol: 'TCP' };
const THREE: readonly PodName[] = ['pod1', 'pod2', 'pod3'];

async function reachesNobody(world: NetworkWorld, host: string, port: number): Promise<void> {
  await eventually(async () => {
    assert.doesNotMatch(unique(await world.tcp('client', host, port)).join(), /pod/);
  });
}

/** That several connections reach one endpoint, or all of them. */
async function spreadsOver(
  world: NetworkWorld,
  [host, port]: readonly [string, number],
  count: number,
): Promise<void> {
  await eventually(async () => {
    const answers = unique(await world.tcp('client', host, port, 30));
    assert.equal(answers.length, count, answers.join());
    assert.match(answers.join(), /^pod/);
  });
}

/** What becomes of a Service in its life, and of its ports. */
export const SERVICE_SCENARIOS: readonly Scenario[] = [
  {
    name: 'follows a Service from type to type',
    async run(world) {
      const ports = [{ ...WEB, nodePort: 30_030 }];
      const outside = { type: 'ExternalName', externalName: 'example.com', clusterIP: null };
      const as = (spec: object) => world.apply(service('kind', '10.96.0.30', { ...spec }));
      await world.apply(slice('kind', ['pod1']));
      await as({ ...outside, clusterIPs: [] });
      await reachesNobody(world, '10.96.0.30', 80);
      await as({});
      await answeredBy(world, 'client', ['10.96.0.30', 80], ['pod1']);
      await as({ type: 'NodePort', ports });
      await answeredBy(world, 'client', [NODE_IP, 30_030], ['pod1']);
      await answeredBy(world, 'pod2', ['10.96.0.30', 80], ['pod1']);
      await as({});
      await reachesNobody(world, NODE_IP, 30_030);
      await answeredBy(world, 'client', ['10.96.0.30', 80], ['pod1']);
      await as({ type: 'NodePort', ports });
      await answeredBy(world, 'client', [NODE_IP, 30_030], ['pod1']);
      await as({ ...outside, clusterIPs: [] });
      await reachesNobody(world, '10.96.0.30', 80);
      await reachesNobody(world, NODE_IP, 30_030);
    },
  },
  {
    name: 'switches session affinity on and off',
    async run(world) {
      const spec = { type: 'NodePort', ports: [{ ...WEB, nodePort: 30_031 }] };
      const config = { clientIP: { timeoutSeconds: 10_800 } };
      const sticky = { ...spec, sessionAffinity: 'ClientIP', sessionAffinityConfig: config };
      await world.apply(service('switch', '10.96.0.31', spec), slice('switch', THREE));
      for (const [wanted, count] of [
        [spec, 3],
        [sticky, 1],
        [spec, 3],
        [sticky, 1],
      ] as const) {
        await world.apply(service('switch', '10.96.0.31', wanted));
        await spreadsOver(world, ['10.96.0.31', 80], count);
        await spreadsOver(world, [NODE_IP, 30_031], count);
      }
    },
  },
  {
    name: 'forgets a client that was silent for longer than its affinity lasts',
    except: { ipvs: 'the kernel remembers a client for as long as one of its connections' },
    async run(world) {
      const spec = {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } },
      };
      await world.apply(service('brief', '10.96.0.32', spec), slice('brief', THREE));
      await spreadsOver(world, ['10.96.0.32', 80], 1);
      const seen = new Set<string>();
      const end = Date.now() + 30_000;
      while (seen.size < 2) {
        assert.ok(Date.now() < end, `always ${[...seen]}`);
        for (const name of unique(await patiently(world, 'client', ['10.96.0.32', 80]))) {
          seen.add(name);
        }
        // Each question is a sign of life, so there must be time between them.
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      }
      assert.match([...seen].join(), /^pod\d,pod\d$/);
    },
  },
  {
    name: 'is a load balancer at the address of its node, for machines outside and for Pods',
    async run(world) {
      // As the service-lb controller writes it.
      const status = { loadBalancer: { ingress: [{ ip: NODE_IP, ipMode: 'VIP' }] } };
      const spec = { type: 'LoadBalancer', ports: [{ ...WEB, port: 8088 }] };
      const as = (state: object) => world.apply(service('bare', '10.96.0.38', spec, { ...state }));
      await world.apply(slice('bare', ['pod1', 'pod4']));
      await as(status);
      for (const place of ['client', 'node-b', 'pod2', 'node'] as const) {
        await answeredBy(world, place, [NODE_IP, 8088], ['pod1', 'pod4']);
      }
      await as({ loadBalancer: {} });
      await reachesNobody(world, NODE_IP, 8088);
      // The node's own address is still its own.
      await answeredBy(world, 'client', [NODE_IP, 8088], ['ECONNREFUSED']);
    },
  },
  {
    name: 'tells a load balancer by the health check port how many local endpoints there are',
    async run(world) {
      const spec = {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 31026,
        ports: [{ ...WEB, nodePort: 30_026 }],
      };
      const timeoutMs = PATIENCE_MS;
      const request = { op: 'http', host: NODE_IP, port: 31_026, timeoutMs } as const;
      const ask = () => world.probe<string>('client', request);
      await world.apply(service('hc', '10.96.0.26', spec), slice('hc', ['pod1', 'pod2', 'pod4']));
      await eventually(async () => {
        const answer = await ask();
        assert.match(answer, /^HTTP\/1.1 200/);
        assert.match(answer, /x-load-balancing-endpoint-weight: 2/i);
        assert.match(answer, /"localEndpoints":2/);
      });
      await world.apply(slice('hc', ['pod4']));
      await eventually(async () => assert.match(await ask(), /^HTTP\/1.1 503/));
    },
  },
  {
    name: 'keeps to its node where each endpoint is meant for its own',
    async run(world) {
      const pods: PodName[] = ['pod2', 'pod4'];
      await world.apply(service('near', '10.96.0.33'), slice('near', pods, { sameNode: true }));
      await answeredBy(world, 'pod1', ['10.96.0.33', 80], ['pod2']);
      await world.apply(slice('near', ['pod4'], { sameNode: true }));
      await answeredBy(world, 'pod1', ['10.96.0.33', 80], ['pod4']);
    },
  },
  {
    name: 'has ports of their own endpoints, and one number for two protocols',
    async run(world) {
      const ports = [
        WEB,
        { name: 'second', port: 81, protocol: 'TCP' },
        { name: 'datagrams', port: 80, protocol: 'UDP' },
      ];
      await world.apply(
        service('many', '10.96.0.34', { ports }),
        slice('many', ['pod1']),
        slice('many', ['pod2'], { suffix: 'b' }),
        slice('many', ['pod4'], { suffix: 'c', port: 'second' }),
        slice('many', ['pod3'], { suffix: 'd', port: 'datagrams', protocol: 'UDP' }),
      );
      await answeredBy(world, 'client', ['10.96.0.34', 80], ['pod1', 'pod2']);
      await answeredBy(world, 'client', ['10.96.0.34', 81], ['pod4']);
      const question = {
        op: 'udp',
        host: '10.96.0.34',
        port: 80,
        timeoutMs: TIMEOUT_MS,
      } as const;
      await eventually(async () => {
        assert.deepEqual(unique(await world.probe('client', question)), ['pod3']);
      });
    },
  },
  {
    name: 'carries SCTP',
    needs: 'sctp',
    except: { userspace: 'Node has no sockets for it: refused by name' },
    async run(world) {
      const ports = [{ ...WEB, protocol: 'SCTP', nodePort: 30_035 }];
      const answer = 'SYSTEM:echo pod2';
      const server = world.spawn('pod2', 'socat', 'SCTP4-LISTEN:8080,reuseaddr,fork', answer);
      try {
        await world.apply(
          service('assoc', '10.96.0.35', { type: 'NodePort', ports }),
          slice('assoc', ['pod2'], { protocol: 'SCTP' }),
        );
        for (const to of ['10.96.0.35:80', `${NODE_IP}:30035`]) {
          await eventually(async () => {
            // What was sent before the rules were there is lost, and the kernel would try for minutes.
            const target = `SCTP4:${to},connect-timeout=2`;
            const said = await world.run('client', 'socat', '-u', target, '-');
            assert.equal(said.trim(), 'pod2');
          });
        }
      } finally {
        server.kill('SIGKILL');
      }
    },
  },
];

/**
 * How a scheduler shares three connections that a client holds among three endpoints. Those that count connections come first,
 * as the others do not mind what is held already.
 */
const SCHEDULERS: Readonly<Record<string, 'all' | 'one'>> = {
  lc: 'all',
  wrr: 'all',
  wlc: 'all',
  sed: 'all',
  nq: 'all',
  sh: 'one',
  dh: 'one',
  mh: 'one',
};

/** Opens a connection and keeps it; who answered. */
async function hold(world: NetworkWorld, host: string, port: number): Promise<string> {
  const timeoutMs = 10 * TIMEOUT_MS;
  const answer = await world.probe<Answer>('client', { op: 'hold', host, port, timeoutMs });
  return answer.name ?? answer.error ?? '';
}

/** What only virtual servers of the kernel have. Each starts a proxy of its own in a world without one. */
export const IPVS_SCENARIOS: readonly Scenario[] = [
  {
    name: 'spreads by the scheduler that is asked for, also after another one',
    only: 'ipvs',
    async run(world, mode) {
      const address = ['10.96.0.36', 80] as const;
      const objects = [service('sched', address[0]), slice('sched', THREE)];
      for (const [scheduler, share] of Object.entries(SCHEDULERS)) {
        await world.startProxy(mode, { ipvs: { scheduler }, objects });
        await eventually(async () => {
          assert.match(await world.onNode('ipvsadm', '-Ln'), new RegExp(`:80 ${scheduler}\\b`));
          assert.match(unique(await world.tcp('client', ...address)).join(), /^pod/);
        });
        const answers: string[] = [];
        for (const _ of THREE) answers.push(await hold(world, ...address));
        const shared = `${scheduler}: ${answers}`;
        assert.equal(new Set(answers).size, share === 'one' ? 1 : THREE.length, shared);
        await world.stopProxy();
      }
      await world.startProxy(mode);
      await world.cleanup();
    },
  },
  {
    name: 'answers who asks the link for its addresses, unless ARP is strict',
    only: 'ipvs',
    async run(world, mode) {
      const ip = '192.0.2.77';
      const spec = { type: 'LoadBalancer', ports: [{ ...WEB, nodePort: 30_037 }] };
      const status = { loadBalancer: { ingress: [{ ip }] } };
      const objects = [service('arp', '10.96.0.37', spec, status), slice('arp', ['pod1'])];
      const ask = async () =>
        await world.run('client', 'sh', '-c', `arping -f -c 2 -I eth0 ${ip} || true`);
      for (const strictARP of [false, true]) {
        await world.startProxy(mode, { ipvs: { strictARP }, objects });
        await eventually(async () => {
          assert.match(
            await world.onNode('ip', '-o', 'addr', 'show', 'kube-ipvs0'),
            /192\.0\.2\.77/,
          );
        });
        if (strictARP) assert.match(await ask(), /Received 0 /);
        else await eventually(async () => assert.match(await ask(), /Received 1 /));
        await world.cleanup();
      }
      // As others expect the node.
      for (const name of ['arp_ignore', 'arp_announce']) {
        await world.onNode('sysctl', '-w', `net.ipv4.conf.all.${name}=0`);
      }
      const [answer] = await patiently(world, 'client', [ADDRESSES.pod1.ip, 8080]);
      assert.equal(answer?.name, 'pod1');
    },
  },
];
