// Runs the behaviours of proxy modes without a test runner, as a virtual machine has none. Each argument is a mode, with
// `:TEXT` after it only the behaviours that have the text in their names (`+` for blanks). Prints `ok MODE: NAME` or `FAILED …` for each.
import { errorMessage } from '../../../src/util/errors.ts';
import { NetworkWorld } from './network-world.ts';
import { POLICY_SCENARIOS } from './policy-scenarios.ts';
import { CARE } from './proxy-care.ts';
import { SCENARIOS, type Scenario } from './proxy-scenarios.ts';

const EMULATED = process.env.PROBE_TIMEOUT_MS !== undefined;
const world = new NetworkWorld();
let failures = 0;
try {
  await world.start();
  for (const argument of process.argv.slice(2)) {
    const [mode = '', text = ''] = argument.replaceAll('+', ' ').split(':');
    const wanted = ({ name, except, slow }: Scenario) =>
      except?.[mode] === undefined && name.includes(text) && !(slow && EMULATED);
    await world.startProxy(mode);
    for (const scenario of [...SCENARIOS, ...POLICY_SCENARIOS].filter(wanted))
      await behaviour(scenario, mode);
    await world.cleanup();
    for (const scenario of CARE.filter(wanted)) await behaviour(scenario, mode);
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
