import assert from 'node:assert/strict';
import { eventually, patiently } from './answers.ts';
import { type NetworkWorld, NODE_IP } from './network-world.ts';
import type { Scenario } from './proxy-scenarios.ts';
import { service, slice } from './service-objects.ts';

const SERVICES = 100;

interface ModeFacts {
  /** Prints everything that the mode writes into the kernel. */
  readonly dump: string;
  /** What careless administrators do, each in a few commands. */
  readonly flushes: readonly (readonly string[])[];
}

const IPTABLES: ModeFacts = {
  dump: 'iptables-save; ip6tables-save; nft list tables inet',
  flushes: [['iptables -t nat -F', 'iptables -t nat -X', 'iptables -t mangle -X']],
};

const FACTS: Readonly<Record<string, ModeFacts>> = {
  iptables: IPTABLES,
  userspace: IPTABLES,
  nftables: {
    dump: 'nft list ruleset',
    flushes: [['nft flush ruleset'], ['nft flush table ip kube-proxy']],
  },
  ipvs: {
    dump: `${IPTABLES.dump}; ipvsadm -Sn; ipset save; ip -o addr show`,
    flushes: [
      [...IPTABLES.flushes.flat(), 'ipvsadm -C', 'ip link del kube-ipvs0'],
      ['ip link del kube-ipvs0'],
      ['ipvsadm -C'],
    ],
  },
};

function factsOf(mode: string): ModeFacts {
  const facts = FACTS[mode];
  if (!facts) throw new Error(`No such mode: ${mode}`);
  return facts;
}

/**
 * What the kernel holds, without counters and time stamps; looking at a table makes it appear, empty, and a new address is
 * tentative until nobody else has claimed it.
 */
async function dump(world: NetworkWorld, mode: string): Promise<string> {
  return (await world.onNode('sh', '-c', factsOf(mode).dump))
    .replace(/\[\d+:\d+\]|^#.*$|expires \w+|initval \w+| tentative\b/gm, '')
    .replace(/^\*\w+\n(:[A-Z]+ \w+ *\n)*COMMIT$/gm, '')
    .replace(/\n{2,}/g, '\n');
}

async function webAnswers(world: NetworkWorld): Promise<void> {
  await eventually(async () => {
    assert.equal((await world.tcp('pod2', '10.96.0.10', 80))[0]?.name, 'pod1');
  });
}

/** What only one mode has. */
const MARKS: Readonly<Record<string, RegExp>> = {
  iptables: /KUBE-SVC-/,
  nftables: /table ip kube-proxy/,
};

/** How a mode behaves towards the rest of the machine. Each starts a proxy of its own in a world without one. */
export const CARE: readonly Scenario[] = [
  {
    name: 'leaves other rules untouched and removes its own on cleanup',
    async run(world, mode) {
      for (const command of [
        'iptables -t nat -A PREROUTING -p tcp --dport 9 -j REDIRECT',
        'iptables -A FORWARD -s 198.18.0.1 -j DROP',
        'nft add table inet firewalld',
        ...(mode === 'ipvs' ? ['ipvsadm -A -t 198.18.0.2:80 -s rr'] : []),
      ]) {
        await world.onNode(...command.split(' '));
      }
      const before = await dump(world, mode);
      await world.startProxy(mode);
      await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
      await webAnswers(world);
      assert.notEqual(await dump(world, mode), before);
      await world.cleanup();
      assert.equal(await dump(world, mode), before);
    },
  },
  {
    name: 'writes its rules again when somebody flushes them',
    async run(world, mode) {
      await world.startProxy(mode, { syncPeriodMs: 200 });
      await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
      await webAnswers(world);
      for (const commands of factsOf(mode).flushes) {
        for (const command of commands) {
          await world.onNode(...command.split(' ')).catch(() => {});
        }
        await webAnswers(world);
      }
      await world.cleanup();
    },
  },
  {
    name: 'answers node ports at the addresses that are named only',
    async run(world, mode) {
      const ports = [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_011 }];
      await world.startProxy(mode, { nodePortAddresses: ['192.0.3.0/24', '2001:db8:3::/64'] });
      await world.apply(
        service('web', '10.96.0.10', { type: 'NodePort', ports }),
        slice('web', ['pod1']),
      );
      await eventually(async () => {
        assert.equal((await world.tcp('node-b', '192.0.3.1', 30_011))[0]?.name, 'pod1');
      });
      const [elsewhere] = await patiently(world, 'client', [NODE_IP, 30_011]);
      assert.equal(elsewhere?.error, 'ECONNREFUSED');
      await world.cleanup();
    },
  },
  {
    name: 'takes over from a proxy of another mode',
    slow: true,
    async run(world, mode) {
      const others = Object.keys(MARKS).filter((other) => other !== mode);
      // The relays are reached by the rules of iptables.
      for (const other of mode === 'userspace' ? ['nftables'] : others) {
        await world.startProxy(other);
        await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
        await webAnswers(world);
        await world.stopProxy('SIGKILL');
        await world.startProxy(mode);
        await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
        await webAnswers(world);
        const left = await world.onNode('sh', '-c', 'iptables-save; nft list tables');
        assert.doesNotMatch(left, MARKS[other] ?? /^$/);
        await world.cleanup();
      }
    },
  },
  {
    name: 'works on a machine that forwards nothing else, as with Docker',
    except: { nftables: 'what one table accepts another one may still drop' },
    async run(world, mode) {
      for (const command of [
        'iptables -N DOCKER-USER',
        'iptables -A FORWARD -j DOCKER-USER',
        'iptables -A DOCKER-USER -j RETURN',
        'iptables -P FORWARD DROP',
      ]) {
        await world.onNode(...command.split(' '));
      }
      const ports = [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_010 }];
      await world.startProxy(mode);
      await world.apply(
        service('web', '10.96.0.10', { type: 'NodePort', ports }),
        slice('web', ['pod1']),
      );
      await eventually(async () => {
        assert.equal((await world.tcp('client', NODE_IP, 30_010))[0]?.name, 'pod1');
      });
      await world.cleanup();
      assert.match(
        await world.onNode('iptables-save'),
        /:FORWARD DROP[\s\S]*-A FORWARD -j DOCKER-USER/,
      );
      for (const command of [
        'iptables -P FORWARD ACCEPT',
        'iptables -F DOCKER-USER',
        'iptables -D FORWARD -j DOCKER-USER',
        'iptables -X DOCKER-USER',
      ]) {
        await world.onNode(...command.split(' '));
      }
    },
  },
  {
    name: 'holds as many rules after many syncs as before',
    slow: true,
    async run(world, mode) {
      await world.startProxy(mode);
      for (let i = 0; i < SERVICES; i++) {
        const pods = ['pod1', 'pod2', 'pod3'] as const;
        await world.apply(service(`s${i}`, `10.96.1.${i}`), slice(`s${i}`, pods));
      }
      await eventually(async () => {
        assert.match(
          (await world.tcp('pod2', `10.96.1.${SERVICES - 1}`, 80))[0]?.name ?? '',
          /pod/,
        );
      });
      const lines = async () => (await dump(world, mode)).split('\n').length;
      await world.applyTimed(slice('s7', ['pod1']));
      await world.applyTimed(slice('s7', ['pod1', 'pod2']));
      const before = await lines();
      for (let i = 0; i < SERVICES / 2; i++) {
        await world.applyTimed(slice('s7', ['pod2']));
        await world.applyTimed(slice('s7', ['pod1', 'pod2']));
      }
      assert.equal(await lines(), before);
      await world.cleanup();
    },
  },
];
