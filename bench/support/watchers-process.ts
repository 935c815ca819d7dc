import { LeanClient } from './lean-client.ts';
import { percentile } from './percentile.ts';
import { type Seen, sharedNow, type WatchersOptions } from './watchers.ts';

// Opens the watches that it is told of, and counts their events. An event says in an annotation when it was due.

const SENT = Buffer.from('"sent":"');
const AT_ONCE = 50;
let latencies: number[] = [];
let cpu = process.cpuUsage();
let onEvent = (): void => {};

/** Takes pieces of a stream, wherever they are cut. */
function eventReader(): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const text = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = text.indexOf(SENT);
    let end = 0;
    while (at >= 0) {
      const close = text.indexOf(0x22, at + SENT.length);
      if (close < 0) break;
      latencies.push(sharedNow() - Number(text.toString('latin1', at + SENT.length, close)));
      end = close;
      at = text.indexOf(SENT, close);
    }
    rest = Buffer.from(text.subarray(at >= 0 ? at : Math.max(end, text.length - SENT.length)));
    onEvent();
  };
}

async function open({ path, count, ...tls }: WatchersOptions): Promise<void> {
  const one = async (): Promise<void> => {
    const client = await LeanClient.connect(tls);
    await new Promise<void>((resolve) => {
      const read = eventReader();
      // The first that comes are the answer's headers: from then on events are due.
      client.stream(path, (chunk) => {
        resolve();
        read(chunk);
      });
    });
  };
  for (let i = 0; i < count; i += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - i) }, one));
  }
}

async function seen(wanted: number, withinMs: number): Promise<Seen> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, withinMs);
    onEvent = () => {
      if (latencies.length < wanted) return;
      clearTimeout(timer);
      resolve();
    };
    onEvent();
  });
  onEvent = () => {};
  const { user, system } = process.cpuUsage(cpu);
  const figures = {
    events: latencies.length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuSeconds: (user + system) / 1e6,
  };
  latencies = [];
  cpu = process.cpuUsage();
  return figures;
}

process.on('message', async (question: WatchersOptions | { wanted: number; withinMs: number }) => {
  if ('wanted' in question) process.send?.(await seen(question.wanted, question.withinMs));
  else {
    await open(question);
    process.send?.('open');
  }
});
process.on('disconnect', () => process.exit());
