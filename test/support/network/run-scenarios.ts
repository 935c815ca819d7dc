// Runs the behaviours of proxy modes without a test runner, as a virtual machine has none. Each argument is a mode, with
// `/shared` or `/own` after it only those of one proxy, or those that start proxies of their own, and with
// `:TEXT|TEXT` after it only the behaviours that have one of the texts in their names (`+` for blanks). Prints `ok MODE: NAME` or `FAILED …` for each.
import { errorMessage } from '../../../src/util/errors.ts';
import { behavioursOf, presentKernel } from './behaviours.ts';
import { NetworkWorld } from './network-world.ts';
import type { Scenario } from './proxy-scenarios.ts';

const world = new NetworkWorld();
let failures = 0;
try {
  await world.start();
  for (const argument of process.argv.slice(2)) {
    const [which = '', text = ''] = argument.replaceAll('+', ' ').split(':');
    const [mode = '', part] = which.split('/');
    const { shared, own } = behavioursOf(mode, presentKernel());
    const wanted = ({ name }: Scenario) => text.split('|').some((words) => name.includes(words));
    if (part !== 'own') {
      await world.startProxy(mode);
      for (const scenario of shared.filter(wanted)) await behaviour(scenario, mode);
      await world.cleanup();
    }
    if (part === 'shared') continue;
    for (const scenario of own.filter(wanted)) await behaviour(scenario, mode);
  }
} finally {
  await world.stop();
}
process.exitCode = failures === 0 ? 0 : 1;

async function behaviour({ name, run }: Scenario, mode: string): Promise<void> {
  const started = Date.now();
  try {
    await run(world, mode);
    console.log(`ok ${mode}: ${name} (${Date.now() - started} ms)`);
  } catch (err) {
    failures++;
    console.log(`FAILED ${mode}: ${name}: ${errorMessage(err).replaceAll('\n', ' | ')}`);
    console.log(world.proxyLog.slice(-4_000));
  }
}
