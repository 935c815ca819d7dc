import { expect, it } from 'vitest';
import { NODES } from '../api/resource-types.ts';
import { timeString } from '../api/times.ts';
import type { Draft, Node } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { realClock } from '../util/clock.ts';
import { waitForNode } from './readiness.ts';

const STARTED = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const HOUR = 3_600_000;

function node(status: 'True' | 'False', heardAt: number): Draft<Node> {
  const at = { lastHeartbeatTime: timeString(heardAt), lastTransitionTime: timeString(0) };
  return {
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } },
    status: { conditions: [{ type: 'Ready', status, ...at }] },
  };
}

it('a node is Ready when its kubelet says so, not when the one before has said so', async () => {
  const client = new FakeClient();
  const { signal } = new AbortController();
  client.seed(NODES, node('True', STARTED - HOUR));
  const seen: string[] = [];
  const ready = waitForNode(client, { name: 'n', since: STARTED }, realClock, signal).then(() =>
    seen.push('ready'),
  );
  // Whoever takes what is remembered is done by now.
  await waitForNode(client, { name: 'n', since: 0 }, realClock, signal);
  seen.push('remembered');
  const tell = async (told: Draft<Node>) => {
    const { metadata } = await client.get(NODES, { namespace: '', name: 'n' });
    await client.update(NODES, { ...told, metadata } as Node, { subresource: 'status' });
  };
  await tell(node('False', STARTED + HOUR));
  seen.push('not ready yet');
  // Within the second in which it was started: times of conditions have no parts of one.
  await tell(node('True', STARTED));
  await ready;
  expect(seen).toEqual(['remembered', 'not ready yet', 'ready']);
});
