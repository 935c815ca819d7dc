import { beforeAll, describe, expect, it } from 'vitest';
import { runServer } from './server.ts';

// Bounded: on an idle machine of two cores it is a sixth of this.
const LIMIT_MS = 1_800_000;

describe("a server with Debian's kernel, systemd and cgroup v2, set up as the Vagrantfile does", () => {
  let output = '';
  beforeAll(async () => {
    output = await runServer(LIMIT_MS);
  }, LIMIT_MS + 120_000);

  it.each([
    ['cgroup v2', 'is what it has'],
    ['provisioned', 'runs the cluster and the demo'],
    ['service active', 'has a service of systemd that runs'],
    ['service enabled', 'and starts with the machine'],
    ['private address', 'is known by its address on the private network'],
    ['demo answers', 'serves the demo'],
    ['limits on cgroup v2', "holds the demo's containers to their limits"],
    ['logs in the journal', 'logs to the journal'],
    ['rebooted: node Ready, demo available', 'is Ready again after a reboot, with all Pods'],
    ['rebooted: demo answers', 'serves the demo after a reboot'],
    ['rebooted: service active', 'runs as a service after a reboot'],
    ['rebooted: logs in the journal', 'logs to the journal after a reboot'],
    ['systemd: swap', 'has swap'],
    ['systemd: driver', 'leaves control groups to systemd'],
    ['systemd: Pod runs', 'runs a Pod in them'],
    ['systemd: slice', "has a slice of systemd's with the Pod's limits"],
    ['systemd: scope', "has a scope of systemd's for the container"],
    ['systemd: memory', "holds the container's memory"],
    ['systemd: CPU', "holds the container's CPU"],
    ['systemd: CPU of the Pod', "holds the Pod's CPU"],
    ['systemd: swap of the container', 'gives the container its share of the swap'],
    ['AppArmor', "confines the container with the runtime's AppArmor profile"],
    ['systemd: nothing left', "takes the Pod's slice away"],
    ['down: all stopped', 'stops, service and Pods'],
  ])('%s: it %s', (name) => {
    const passed = output.split('\n').some((line) => line.startsWith(`ok ${name} (`));
    expect(passed, output.slice(-12_000)).toBe(true);
  });
});
