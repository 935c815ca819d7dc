import assert from 'node:assert/strict';
import { answeredBy, eventually, names, PATIENCE_MS, patiently, unique } from './answers.ts';
import {
  ADDRESSES,
  type Answer,
  CLIENT_IP,
  type NetworkWorld,
  NODE_IP,
  type Place,
  type PodName,
  TIMEOUT_MS,
} from './network-world.ts';
import { service, slice } from './service-objects.ts';

/** One behaviour that every proxy mode owes to its users. */
export interface Scenario {
  readonly name: string;
  /** Modes that do not promise it, each with the reason. */
  readonly except?: Readonly<Record<string, string>>;
  /** Starts many programs or waits for long: left out where every instruction is emulated. */
  readonly slow?: boolean;
  /** Needs what a kernel may lack: left out where it does. */
  readonly needs?: 'sctp';
  /** Is about one mode alone. */
  readonly only?: string;
  run(world: NetworkWorld, mode: string): Promise<void>;
}

const NODE_PORT = { name: 'p', port: 80, protocol: 'TCP' };
// Where all is emulated a few must do.
const ROUNDS = TIMEOUT_MS > 1_000 ? 3 : 10;
const PLACES: readonly Place[] = ['node', 'pod1', 'client', 'node-b'];

async function peerSeen(world: NetworkWorld, from: Place, host: string, port: number) {
  const [answer] = await patiently(world, from, [host, port]);
  return answer?.peer;
}

/** Of 300 connections, how far from even the spread over three Pods is. */
async function unevenness(world: NetworkWorld, host: string): Promise<number> {
  const answers = names(await patiently(world, 'node', [host, 80], 300));
  const counts = ['pod1', 'pod2', 'pod3'].map((pod) => answers.filter((n) => n === pod).length);
  return counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
}

/** A client that asks by UDP again and again, from one port, is always with an endpoint that there is. */
async function movesDatagrams(world: NetworkWorld, family: 4 | 6, host: string): Promise<void> {
  const name = `udp-${family}`;
  const spec = { clusterIPs: [host], ports: [{ name: 'p', port: 53, protocol: 'UDP' }] };
  await world.apply(service(name, host, spec));
  const request = { op: 'udp', host, port: 53, timeoutMs: TIMEOUT_MS, localPort: 40_027 } as const;
  const served = async (pods: readonly PodName[], answer: string) => {
    await world.apply(slice(name, pods, { protocol: 'UDP', family }));
    await eventually(async () => {
      assert.deepEqual(unique(await world.probe('pod2', request)), [answer]);
    });
  };
  await served(['pod1'], 'pod1');
  await served(['pod3'], 'pod3');
  await served([], 'ECONNREFUSED');
  await served(['pod1'], 'pod1');
  // A client that goes on where the service is gone reaches nobody.
  await world.remove(service(name, host, spec));
  await eventually(async () => {
    assert.doesNotMatch(unique(await world.probe('pod2', request)).join(), /pod/);
  });
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'answers on the cluster IP for the node, Pods, other nodes and other machines',
    async run(world) {
      await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1', 'pod2', 'pod4']));
      for (const place of PLACES) {
        await answeredBy(world, place, ['10.96.0.10', 80], ['pod1', 'pod2', 'pod4']);
      }
    },
  },
  {
    name: 'spreads connections evenly',
    async run(world) {
      await world.apply(service('even', '10.96.0.11'), slice('even', ['pod1', 'pod2', 'pod3']));
      await answeredBy(world, 'node', ['10.96.0.11', 80], ['pod1', 'pod2', 'pod3']);
      // Two degrees of freedom: an even spread exceeds this once in 10,000 runs, and hardly ever twice.
      const first = await unevenness(world, '10.96.0.11');
      const chiSquare = first < 18.4 ? first : await unevenness(world, '10.96.0.11');
      assert.ok(chiSquare < 18.4, `chi-square ${first} and ${chiSquare}`);
    },
  },
  {
    name: 'keeps the source address of Pods and masquerades machines outside of the cluster',
    except: { userspace: 'a relay opens its own connection: every source is the node' },
    async run(world) {
      await world.apply(service('src', '10.96.0.12'), slice('src', ['pod2']));
      await answeredBy(world, 'pod1', ['10.96.0.12', 80], ['pod2']);
      assert.equal(await peerSeen(world, 'pod1', '10.96.0.12', 80), ADDRESSES.pod1.ip);
      assert.notEqual(await peerSeen(world, 'client', '10.96.0.12', 80), CLIENT_IP);
    },
  },
  {
    name: 'lets a Pod reach itself through its own Service (hairpin)',
    async run(world) {
      await world.apply(service('self', '10.96.0.13'), slice('self', ['pod1']));
      await answeredBy(world, 'pod1', ['10.96.0.13', 80], ['pod1']);
      assert.notEqual(await peerSeen(world, 'pod1', '10.96.0.13', 80), ADDRESSES.pod1.ip);
    },
  },
  {
    name: 'refuses connections to a Service without endpoints, at once',
    async run(world) {
      await world.apply(
        service('none', '10.96.0.14', {
          type: 'NodePort',
          ports: [{ ...NODE_PORT, nodePort: 30014 }],
        }),
      );
      for (const place of PLACES) {
        await answeredBy(world, place, ['10.96.0.14', 80], ['ECONNREFUSED']);
      }
      await answeredBy(world, 'client', [NODE_IP, 30014], ['ECONNREFUSED']);
    },
  },
  {
    name: 'follows endpoints as they come and go',
    async run(world) {
      const target = ['10.96.0.15', 80] as const;
      await world.apply(service('moving', '10.96.0.15'), slice('moving', ['pod1', 'pod2']));
      await answeredBy(world, 'node', target, ['pod1', 'pod2']);
      await world.apply(slice('moving', ['pod2']));
      await answeredBy(world, 'node', target, ['pod2']);
      await world.apply(slice('moving', []));
      await answeredBy(world, 'node', target, ['ECONNREFUSED']);
      await world.apply(slice('moving', ['pod3']), slice('moving', ['pod4'], { suffix: 'b' }));
      await answeredBy(world, 'node', target, ['pod3', 'pod4']);
      await world.remove(service('moving', '10.96.0.15'));
      await eventually(async () => {
        assert.doesNotMatch(unique(await world.tcp('node', ...target)).join(), /pod/);
      });
    },
  },
  {
    name: 'answers every new connection while endpoints change',
    async run(world) {
      await world.apply(service('load', '10.96.0.16'), slice('load', ['pod1']));
      // Not asked from the node: what it sends before the rules are there leaves untranslated entries in the
      // connection tracker, which would catch later connections from the same port.
      await answeredBy(world, 'pod2', ['10.96.0.16', 80], ['pod1']);
      await world.probe('node', {
        op: 'flood-start',
        host: '10.96.0.16',
        port: 80,
        timeoutMs: PATIENCE_MS,
      });
      for (let round = 0; round < ROUNDS; round++) {
        const pods: PodName[][] = [
          ['pod1', 'pod2', 'pod3'],
          ['pod2', 'pod3'],
          ['pod1'],
          ['pod4', 'pod1'],
        ];
        for (const set of pods) await world.applyTimed(slice('load', set));
      }
      const answers: Answer[] = await world.probe('node', { op: 'flood-stop' });
      const failed = answers.filter(({ error }) => error !== undefined);
      assert.ok(answers.length > 50, `only ${answers.length} connections were tried`);
      assert.deepEqual(failed, [], `${failed.length} of ${answers.length} failed`);
    },
  },
  {
    name: 'keeps a client on its endpoint with session affinity',
    async run(world) {
      const spec = {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } },
      };
      await world.apply(
        service('sticky', '10.96.0.17', spec),
        slice('sticky', ['pod1', 'pod2', 'pod3']),
      );
      await eventually(async () => {
        assert.match((await world.tcp('client', '10.96.0.17', 80))[0]?.name ?? '', /pod/);
      });
      const [first] = await patiently(world, 'client', ['10.96.0.17', 80]);
      const later = await patiently(world, 'client', ['10.96.0.17', 80], 30);
      assert.deepEqual(unique(later), [first?.name]);
      // Its endpoint goes: another one takes over and holds the client from then on.
      const others = (['pod1', 'pod2', 'pod3'] as const).filter((pod) => pod !== first?.name);
      await world.apply(slice('sticky', others));
      await eventually(async () => {
        const again = unique(await world.tcp('client', '10.96.0.17', 80, 10));
        assert.equal(again.length, 1);
        assert.ok(again[0] !== first?.name && /pod/.test(again[0] ?? ''), String(again[0]));
      });
    },
  },
  {
    name: 'answers on node ports of every address, for every protocol of the world',
    async run(world) {
      const ports = [{ ...NODE_PORT, nodePort: 30018 }];
      await world.apply(
        service('np', '10.96.0.18', { type: 'NodePort', ports }),
        slice('np', ['pod1', 'pod4']),
      );
      await answeredBy(world, 'client', [NODE_IP, 30018], ['pod1', 'pod4']);
      await answeredBy(world, 'node-b', [NODE_IP, 30018], ['pod1', 'pod4']);
      await answeredBy(world, 'pod2', [NODE_IP, 30018], ['pod1', 'pod4']);
      await answeredBy(world, 'node', [NODE_IP, 30018], ['pod1', 'pod4']);
    },
  },
  {
    name: 'answers node ports on 127.0.0.1',
    except: {
      nftables: 'upstream leaves it out on purpose (KEP-3866)',
      ipvs: 'packets from loopback cannot leave by IPVS',
    },
    async run(world) {
      const ports = [{ ...NODE_PORT, nodePort: 30019 }];
      await world.apply(
        service('lo', '10.96.0.19', { type: 'NodePort', ports }),
        slice('lo', ['pod1', 'pod4']),
      );
      await answeredBy(world, 'node', ['127.0.0.1', 30019], ['pod1', 'pod4']);
    },
  },
  {
    name: 'externalTrafficPolicy Local uses local endpoints only and keeps the source address',
    async run(world, mode) {
      const spec = {
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        ports: [{ ...NODE_PORT, nodePort: 30020 }],
      };
      await world.apply(service('etp', '10.96.0.20', spec), slice('etp', ['pod1', 'pod4']));
      await answeredBy(world, 'client', [NODE_IP, 30020], ['pod1']);
      // A relay opens a connection of its own: its source is the node.
      if (mode !== 'userspace') {
        assert.equal(await peerSeen(world, 'client', NODE_IP, 30020), CLIENT_IP);
      }
      // Inside the cluster the policy does not count.
      await answeredBy(world, 'client', ['10.96.0.20', 80], ['pod1', 'pod4']);
      await world.apply(slice('etp', ['pod4']));
      // IPVS cannot tell clients apart: as upstream, all go on to other nodes, where load balancers do not send them.
      const outside = mode === 'ipvs' ? 'pod4' : 'timeout';
      await answeredBy(world, 'client', [NODE_IP, 30020], [outside]);
      await answeredBy(world, 'pod2', [NODE_IP, 30020], ['pod4']);
    },
  },
  {
    name: 'internalTrafficPolicy Local uses local endpoints only, and drops without them',
    async run(world) {
      const spec = { internalTrafficPolicy: 'Local' };
      await world.apply(service('itp', '10.96.0.21', spec), slice('itp', ['pod2', 'pod4']));
      await answeredBy(world, 'pod1', ['10.96.0.21', 80], ['pod2']);
      await world.apply(slice('itp', ['pod4']));
      await eventually(async () => {
        assert.doesNotMatch(unique(await world.tcp('pod1', '10.96.0.21', 80)).join(), /pod/);
      });
    },
  },
  {
    name: 'uses terminating endpoints that still serve only when nothing else is ready',
    async run(world) {
      const going = { ready: false, serving: true, terminating: true };
      await world.apply(
        service('term', '10.96.0.22'),
        slice('term', ['pod1', 'pod2', 'pod3'], {
          conditions: { pod1: going, pod3: { ready: false, serving: false } },
        }),
      );
      await answeredBy(world, 'node', ['10.96.0.22', 80], ['pod2']);
      await world.apply(
        slice('term', ['pod1', 'pod3'], {
          conditions: { pod1: going, pod3: { ready: false, serving: false } },
        }),
      );
      await answeredBy(world, 'node', ['10.96.0.22', 80], ['pod1']);
    },
  },
  {
    name: 'keeps to its zone by topology hints',
    async run(world) {
      const zones = { pod1: 'zone-a', pod2: 'zone-b', pod4: 'zone-a' };
      await world.apply(
        service('zoned', '10.96.0.23'),
        slice('zoned', ['pod1', 'pod2', 'pod4'], { zones }),
      );
      await answeredBy(world, 'node', ['10.96.0.23', 80], ['pod1', 'pod4']);
      await world.apply(slice('zoned', ['pod1', 'pod2', 'pod4'], { zones: { pod1: 'zone-a' } }));
      await answeredBy(world, 'node', ['10.96.0.23', 80], ['pod1', 'pod2', 'pod4']);
    },
  },
  {
    name: 'serves load balancer addresses, within the source ranges only',
    async run(world) {
      const ports = [{ ...NODE_PORT, nodePort: 30024 }];
      const status = { loadBalancer: { ingress: [{ ip: '203.0.113.24' }] } };
      const spec = { type: 'LoadBalancer', ports };
      await world.apply(service('lb', '10.96.0.24', spec, status), slice('lb', ['pod1', 'pod4']));
      await answeredBy(world, 'client', ['203.0.113.24', 80], ['pod1', 'pod4']);
      const closed = { ...spec, loadBalancerSourceRanges: ['198.51.100.0/24'] };
      await world.apply(service('lb', '10.96.0.24', closed, status));
      await answeredBy(world, 'client', ['203.0.113.24', 80], ['timeout']);
      const open = { ...spec, loadBalancerSourceRanges: ['198.51.100.0/24', `${CLIENT_IP}/32`] };
      await world.apply(service('lb', '10.96.0.24', open, status));
      await answeredBy(world, 'client', ['203.0.113.24', 80], ['pod1', 'pod4']);
    },
  },
  {
    name: 'serves external IPs',
    async run(world) {
      const spec = { externalIPs: ['203.0.113.25'] };
      await world.apply(service('ext', '10.96.0.25', spec), slice('ext', ['pod1', 'pod4']));
      await answeredBy(world, 'client', ['203.0.113.25', 80], ['pod1', 'pod4']);
      await answeredBy(world, 'pod2', ['203.0.113.25', 80], ['pod1', 'pod4']);
    },
  },
  {
    name: 'carries UDP, and moves a busy client when its endpoint goes',
    run: (world) => movesDatagrams(world, 4, '10.96.0.27'),
  },
  {
    name: 'routes IPv6 as well',
    async run(world) {
      const spec = {
        clusterIPs: ['10.96.0.28', 'fd00:10:96::28'],
        type: 'NodePort',
        ports: [{ ...NODE_PORT, nodePort: 30028 }],
      };
      await world.apply(
        service('six', '10.96.0.28', spec),
        slice('six', ['pod1', 'pod4'], { family: 6 }),
        slice('six', ['pod2'], { family: 4 }),
      );
      await answeredBy(world, 'node', ['fd00:10:96::28', 80], ['pod1', 'pod4']);
      await answeredBy(world, 'pod2', ['fd00:10:96::28', 80], ['pod1', 'pod4']);
      await answeredBy(world, 'pod1', ['10.96.0.28', 80], ['pod2']);
      await answeredBy(world, 'client', ['2001:db8:2::1', 30028], ['pod1', 'pod4']);
    },
  },
  {
    name: 'moves datagrams of IPv6, and refuses one family alone where it has no endpoints',
    slow: true,
    async run(world) {
      await movesDatagrams(world, 6, 'fd00:10:96::39');
      const [six, nodePort] = ['fd00:10:96::40', 30040];
      const ports = [{ ...NODE_PORT, nodePort }];
      await world.apply(
        service('lone', '10.96.0.40', { clusterIPs: ['10.96.0.40', six], type: 'NodePort', ports }),
        slice('lone', ['pod2'], { family: 4 }),
      );
      await answeredBy(world, 'pod1', ['10.96.0.40', 80], ['pod2']);
      await eventually(async () => {
        // The first refusal comes while the client still connects, and counts for nothing there; a second later it tries again.
        const refused = await patiently(world, 'client', ['2001:db8:2::1', nodePort]);
        assert.deepEqual(unique(refused), ['ECONNREFUSED']);
      });
    },
  },
  {
    name: 'leaves connections alone when other endpoints change, and when the proxy dies',
    except: { userspace: 'its connections live in the process of the proxy' },
    async run(world, mode) {
      await world.apply(service('held', '10.96.0.29'), slice('held', ['pod1']));
      await answeredBy(world, 'pod2', ['10.96.0.29', 80], ['pod1']);
      const held: Answer = await world.probe('pod2', {
        op: 'hold',
        host: '10.96.0.29',
        port: 80,
        timeoutMs: PATIENCE_MS,
      });
      await world.applyTimed(slice('held', ['pod1', 'pod3']));
      await world.stopProxy('SIGKILL');
      const talk = () =>
        world.probe<Answer>('pod2', {
          op: 'talk',
          handle: held.handle ?? 0,
          timeoutMs: PATIENCE_MS,
        });
      assert.equal((await talk()).name, 'pod1');
      await answeredBy(world, 'pod2', ['10.96.0.29', 80], ['pod1', 'pod3']);
      // A new proxy learns what is left over from the old one and removes it.
      await world.startProxy(mode, {
        objects: [service('held', '10.96.0.29'), slice('held', ['pod3'])],
      });
      await answeredBy(world, 'pod2', ['10.96.0.29', 80], ['pod3']);
      assert.equal((await talk()).name, 'pod1');
      await eventually(async () => {
        assert.doesNotMatch(unique(await world.tcp('node', '10.96.0.10', 80)).join(), /pod/);
      });
    },
  },
];
