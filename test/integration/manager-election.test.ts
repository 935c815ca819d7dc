import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, LEASES, NAMESPACES } from '../../src/api/resource-types.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

// Long enough for a machine that stands still for a moment: who cannot renew in time ends.
const LEASE_SECONDS = 8;
const lease = { namespace: 'kube-system', name: 'kube-controller-manager' };

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({
    controllers: true,
    controllerFlags: [
      '--leader-elect=true',
      `--leader-elect-lease-duration=${LEASE_SECONDS}s`,
      '--leader-elect-renew-deadline=7s',
      '--leader-elect-retry-period=500ms',
    ],
  });
});
afterAll(() => plane?.stop());

const holder = async () => (await plane.client.get(LEASES, lease)).spec?.holderIdentity ?? '';
const nextHolder = (before: string) =>
  eventually('another leader', async () => {
    const now = await holder();
    return now !== before && now !== '' ? now : undefined;
  });
/** Controllers are at work: a new namespace gets its authority. */
async function expectWork(name: string): Promise<void> {
  const metadata = { name };
  await plane.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
  const key = { namespace: name, name: 'kube-root-ca.crt' };
  await eventually('its authority', () => plane.client.get(CONFIG_MAPS, key));
}

describe('two controller managers', () => {
  it('work one at a time, and the other takes over when the leader is killed', async () => {
    const first = await eventually('a leader', holder);
    const second = plane.secondManager();
    await expectWork('with-two');
    expect(await holder()).toBe(first);
    plane.controllerManager?.kill('SIGKILL');
    const killed = Date.now();
    const next = await nextHolder(first);
    expect(Date.now() - killed).toBeGreaterThan(2000); // not before the lease was over
    await expectWork('after-kill');
    const { spec } = await plane.client.get(LEASES, lease);
    expect(spec).toMatchObject({ leaseDurationSeconds: LEASE_SECONDS, leaseTransitions: 1 });

    const third = plane.secondManager();
    second.kill('SIGTERM');
    await nextHolder(next);
    await expectWork('after-stop');
    expect(third.exitCode).toBeNull();

    // Who cannot renew ends, though what it has asked for hangs: something that only looks alive is not replaced.
    const server = plane.pid('apiserver') ?? 0;
    process.kill(server, 'SIGSTOP');
    try {
      await eventually('it has ended', () => third.exitCode !== null);
      expect(third.exitCode).toBe(1);
    } finally {
      process.kill(server, 'SIGCONT');
    }
  });
});
