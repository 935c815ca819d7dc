import { measureAlgorithm } from './sched/algorithm.ts';
import { WORKLOADS } from './sched/workloads.ts';

// The scheduling algorithm alone, on upstream's scheduler_perf workloads: `node --expose-gc bench/sched-algorithm.ts [NAME]`.
const wanted = process.argv[2];
console.log('workload                  Pods/s   floor  ratio   p50 ms   p99 ms  KiB/node  KiB/Pod');
for (const workload of WORKLOADS) {
  if (wanted !== undefined && !workload.name.startsWith(wanted)) continue;
  const { podsPerSecond, p50, p99, heapPerNode, heapPerPod } = await measureAlgorithm(workload);
  const { threshold } = workload;
  const columns = [
    workload.name.padEnd(24),
    podsPerSecond.toFixed(0).padStart(7),
    (threshold?.toString() ?? '-').padStart(7),
    (threshold ? (podsPerSecond / threshold).toFixed(1) : '-').padStart(6),
    p50.toFixed(3).padStart(8),
    p99.toFixed(3).padStart(8),
    (heapPerNode / 1024).toFixed(1).padStart(9),
    (heapPerPod / 1024).toFixed(1).padStart(8),
  ];
  console.log(columns.join(' '));
}
