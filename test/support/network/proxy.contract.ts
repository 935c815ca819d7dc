import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NetworkWorld } from './network-world.ts';
import { eventually, SCENARIOS } from './proxy-scenarios.ts';
import { service, slice } from './service-objects.ts';

export interface ModeFacts {
  /** Prints everything that the mode writes into the kernel. */
  readonly dump: readonly string[];
  /** What a careless administrator does. */
  readonly flush: readonly (readonly string[])[];
}

const LIMIT_MS = 40_000;

/** The promises of a proxy mode, checked against this machine's kernel in network namespaces. */
export function proxyBehaviour(mode: string, facts: ModeFacts): void {
  describe(`proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(async () => {
      await world.start();
      await world.startProxy(mode);
    });
    afterAll(() => world.stop());

    for (const scenario of SCENARIOS) {
      const reason = scenario.except?.[mode];
      if (reason === undefined) it(scenario.name, () => scenario.run(world, mode), LIMIT_MS);
      else it.skip(`${scenario.name} (${reason})`, () => {});
    }
  });

  describe(`care of proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(() => world.start());
    afterAll(() => world.stop());
    // Counters and time stamps differ from dump to dump; looking at a table makes it appear, empty.
    const dump = async () =>
      (await world.onNode(...facts.dump))
        .replace(/\[\d+:\d+\]|^#.*$|expires \w+/gm, '')
        .replace(/^\*\w+\n(:[A-Z]+ \w+ *\n)*COMMIT$/gm, '')
        .replace(/\n{2,}/g, '\n');

    it('leaves other rules untouched and removes its own on cleanup', async () => {
      await world.onNode(
        'iptables',
        '-t',
        'nat',
        '-A',
        'PREROUTING',
        '-p',
        'tcp',
        '--dport',
        '9',
        '-j',
        'REDIRECT',
      );
      await world.onNode('iptables', '-A', 'FORWARD', '-s', '198.18.0.1', '-j', 'DROP');
      await world.onNode('nft', 'add', 'table', 'inet', 'firewalld');
      const before = await dump();
      await world.startProxy(mode);
      await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
      await eventually(async () =>
        expect(await world.tcp('pod2', '10.96.0.10', 80)).toMatchObject([{ name: 'pod1' }]),
      );
      expect(await dump()).not.toBe(before);
      await world.cleanup();
      expect(await dump()).toBe(before);
    });

    it('writes its rules again when somebody flushes them', async () => {
      await world.startProxy(mode, { syncPeriodMs: 200 });
      await world.apply(service('web', '10.96.0.10'), slice('web', ['pod1']));
      const works = async () =>
        expect(await world.tcp('pod2', '10.96.0.10', 80)).toMatchObject([{ name: 'pod1' }]);
      await eventually(works);
      for (const command of facts.flush) await world.onNode(...command).catch(() => {});
      await eventually(works);
      await world.cleanup();
    });

    it('holds as many rules after 100 syncs as before, and syncs fast with 100 Services', async () => {
      await world.startProxy(mode);
      for (let i = 0; i < 100; i++) {
        await world.apply(
          service(`s${i}`, `10.96.1.${i}`),
          slice(`s${i}`, ['pod1', 'pod2', 'pod3']),
        );
      }
      await eventually(async () =>
        expect(await world.tcp('pod2', '10.96.1.99', 80)).toMatchObject(
          [{ name: /pod/ }].map(() => ({})),
        ),
      );
      const lines = async () => (await dump()).split('\n').length;
      await world.applyTimed(slice('s7', ['pod1']));
      await world.applyTimed(slice('s7', ['pod1', 'pod2']));
      const before = await lines();
      const times: number[] = [];
      for (let i = 0; i < 50; i++) {
        times.push(await world.applyTimed(slice('s7', ['pod2'])));
        times.push(await world.applyTimed(slice('s7', ['pod1', 'pod2'])));
      }
      expect(await lines()).toBe(before);
      times.sort((a, b) => a - b);
      expect(times[50], 'median milliseconds from change to kernel').toBeLessThan(100);
      await world.cleanup();
    });
  });
}
