import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Loaded into a server that is measured. Asked by a message, it says how it was since the last question.

const RESOLUTION_MS = 5;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
let cpu = process.cpuUsage();
let loop = performance.eventLoopUtilization();
let peakRss = 0;
let peakHeap = 0;
// What the main thread worked between two turns of its timers. On a busy machine a delay is mostly somebody else's work.
let worked = process.threadCpuUsage();
let workMax = 0;
const watchWork = setInterval(() => {
  const { user, system } = process.threadCpuUsage(worked);
  workMax = Math.max(workMax, (user + system) / 1000 - RESOLUTION_MS);
  worked = process.threadCpuUsage();
}, RESOLUTION_MS);
watchWork.unref();
const watchMemory = setInterval(() => {
  const { heapUsed, external, rss } = process.memoryUsage();
  peakRss = Math.max(peakRss, rss);
  peakHeap = Math.max(peakHeap, heapUsed + external);
}, 100);
watchMemory.unref();
process.channel?.unref();
process.on('message', (question) => {
  if (question === 'usage of what is kept') collect();
  const used = process.cpuUsage(cpu);
  const { heapUsed, rss, external } = process.memoryUsage();
  process.send?.({
    // A sample is the time between two ticks: what is beyond the tick itself is delay.
    loopMaxMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
    loopP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
    loopWorkMaxMs: workMax,
    cpuSeconds: (used.user + used.system) / 1e6,
    busy: performance.eventLoopUtilization(loop).utilization,
    rssMb: rss / 2 ** 20,
    peakRssMb: Math.max(peakRss, rss) / 2 ** 20,
    heapMb: (heapUsed + external) / 2 ** 20,
    peakHeapMb: Math.max(peakHeap, heapUsed + external) / 2 ** 20,
  });
  delay.reset();
  workMax = 0;
  cpu = process.cpuUsage();
  loop = performance.eventLoopUtilization();
  peakRss = 0;
  peakHeap = 0;
});

/** What nobody needs any more is no memory that objects take. Buffers go with the second round. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  gc();
}
