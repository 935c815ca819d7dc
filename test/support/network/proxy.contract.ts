import { afterAll, beforeAll, describe, it } from 'vitest';
import { NetworkWorld } from './network-world.ts';
import { POLICY_SCENARIOS } from './policy-scenarios.ts';
import { CARE } from './proxy-care.ts';
import { SCENARIOS, type Scenario } from './proxy-scenarios.ts';

const LIMIT_MS = 40_000;

/** The promises of a proxy mode, checked against this machine's kernel in network namespaces. */
export function proxyBehaviour(mode: string): void {
  describe(`proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(async () => {
      await world.start();
      await world.startProxy(mode);
    });
    afterAll(() => world.stop());
    for (const scenario of [...SCENARIOS, ...POLICY_SCENARIOS]) behaviour(scenario, world);
  });

  describe(`care of proxy mode ${mode}`, () => {
    const world = new NetworkWorld();
    beforeAll(() => world.start());
    afterAll(() => world.stop());
    for (const scenario of CARE) behaviour(scenario, world);
  });

  function behaviour(scenario: Scenario, world: NetworkWorld): void {
    const reason = scenario.except?.[mode];
    if (reason === undefined) it(scenario.name, () => scenario.run(world, mode), LIMIT_MS);
    else it.skip(`${scenario.name} (${reason})`, () => {});
  }
}
