// Runs the behaviours of a proxy mode without a test runner, as a virtual machine has none:
// `node run-scenarios.ts MODE` prints `ok NAME` or `not ok NAME` for each.
import { errorMessage } from '../../../src/util/errors.ts';
import { NetworkWorld } from './network-world.ts';
import { SCENARIOS } from './proxy-scenarios.ts';

const [mode = 'iptables', only = ''] = process.argv.slice(2);
const world = new NetworkWorld();
let failures = 0;
try {
  await world.start();
  await world.startProxy(mode);
  for (const { name, except, run } of SCENARIOS) {
    if (except?.[mode] !== undefined || !name.includes(only)) continue;
    const started = Date.now();
    try {
      await run(world, mode);
      console.log(`ok ${name} (${Date.now() - started} ms)`);
    } catch (err) {
      failures++;
      console.log(`not ok ${name}: ${errorMessage(err).replaceAll('\n', ' | ')}`);
    }
  }
  if (failures > 0) console.log(world.proxyLog);
} finally {
  await world.stop();
}
console.log(`failures: ${failures}`);
process.exitCode = failures === 0 ? 0 : 1;
