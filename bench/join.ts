import { createMachines, type Machine } from '../test/support/machines.ts';
import { percentile } from './support/percentile.ts';
import { printer } from './support/table.ts';

// Seconds from `k8ts join` to a node that is Ready, on a machine that has all programs. `npm run bench -- join [TIMES]`.

const TIMES = Number(process.argv[2] ?? 3);

const set = await createMachines(['server', 'worker']);
const [server, worker] = set.machines as [Machine, Machine];
try {
  await server.named('up', '--detach', '--disable', 'dns', 'metrics-server');
  const seconds: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const { stdout } = await server.k8ts('token', 'create', '--print-join-command');
    const begin = performance.now();
    await worker.join(stdout);
    seconds.push((performance.now() - begin) / 1000);
    await worker.k8ts('leave');
    await server.kubectl('delete', 'node', worker.name);
  }
  const print = printer(['joins', 'p50 s', 'max s', 'aim']);
  const [half, most] = [percentile(seconds, 0.5), Math.max(...seconds)];
  print([TIMES, half.toFixed(1), most.toFixed(1), '10 s from the command to Ready']);
} finally {
  await set.remove();
}
