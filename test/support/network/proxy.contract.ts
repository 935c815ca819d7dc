import { afterAll, beforeAll, describe, it } from 'vitest';
import { behavioursOf, presentKernel } from './behaviours.ts';
import { NetworkWorld } from './network-world.ts';
import type { Scenario } from './proxy-scenarios.ts';

const LIMIT_MS = 180_000;

/** The promises of a proxy mode, checked against this machine's kernel in network namespaces. */
export function proxyBehaviour(mode: string): void {
  const { shared, own } = behavioursOf(mode, presentKernel());

  describe(`proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(async () => {
      await world.start();
      await world.startProxy(mode);
    });
    afterAll(() => world.stop());
    for (const scenario of shared) behaviour(scenario, world);
  });

  describe(`care of proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(() => world.start());
    afterAll(() => world.stop());
    for (const scenario of own) behaviour(scenario, world);
  });

  function behaviour(scenario: Scenario, world: NetworkWorld): void {
    it(scenario.name, () => scenario.run(world, mode), LIMIT_MS);
  }
}
