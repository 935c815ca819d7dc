import { createRpcClient, isRpcUnimplemented, type RpcClient } from '../../util/grpc.ts';
import type { RuntimeEvent } from './runtime.ts';

// The namespace in which containerd keeps what its CRI plugin makes.
const CONTAINERD_FILTERS = ['/tasks/exit', '/tasks/oom'].map(
  (topic) => `namespace==k8s.io,topic==${JSON.stringify(topic)}`,
);

interface Envelope {
  topic: string;
  event: { value: Uint8Array } | null;
}

/**
 * Container events by the CRI (KEP-3386) where the runtime has them, else by containerd's own event service,
 * which answers on the same socket. A runtime with neither makes this throw UNIMPLEMENTED.
 */
export async function* runtimeEvents(
  cri: RpcClient,
  endpoint: string,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  try {
    const stream = cri.stream<{ containerId: string }>('GetContainerEvents', {}, signal);
    for await (const { containerId } of stream) yield { containerId };
    return;
  } catch (err) {
    if (!isRpcUnimplemented(err)) throw err;
  }
  yield* containerdEvents(endpoint, signal);
}

async function* containerdEvents(
  endpoint: string,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const rpc = createRpcClient({
    proto: 'containerd-events.proto',
    service: 'containerd.services.events.v1.Events',
    address: endpoint,
  });
  try {
    const request = { filters: CONTAINERD_FILTERS };
    for await (const { topic, event } of rpc.stream<Envelope>('Subscribe', request, signal)) {
      if (!event) continue;
      const { containerId, id } = leadingStrings(event.value);
      if (topic === '/tasks/oom') yield { containerId, oom: true };
      // The exit of an exec'd process (a probe) is none of the container's.
      else if (id === containerId) yield { containerId };
    }
  } finally {
    rpc.close();
  }
}

/**
 * The string fields 1 (container id) and 2 (task or exec id) at the front of a TaskExit or TaskOOM message, read
 * off the wire format: a key byte (number << 3 | 2), a length below 128, the text.
 */
export function leadingStrings(message: Uint8Array): { containerId: string; id: string } {
  const found = ['', ''];
  let at = 0;
  for (const number of [1, 2]) {
    if (message[at] !== ((number << 3) | 2)) break;
    const length = message[at + 1] ?? 0;
    found[number - 1] = Buffer.from(message.subarray(at + 2, at + 2 + length)).toString('utf8');
    at += 2 + length;
  }
  return { containerId: found[0] ?? '', id: found[1] ?? '' };
}
