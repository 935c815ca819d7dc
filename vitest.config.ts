import { defineConfig } from 'vitest/config';

// Limits of time are only for what hangs: properties, models and starts take long on a slow machine.
const HANGS_MS = 180_000;
const common = {
  pool: 'forks' as const,
  passWithNoTests: false,
  testTimeout: HANGS_MS,
  hookTimeout: HANGS_MS,
  expect: { poll: { timeout: 30_000 } },
};

const CLUSTERS = [
  'test/e2e/{control-plane-pods,engine-faults,foreign-network,high-availability,nodes,upgrade,vagrant}.test.ts',
];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['{src,scripts,deploy}/**/*.test.ts', 'test/support/**/*.test.ts'],
        },
      },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
        },
      },
      {
        // Real containerd, real kernel rules: needs root, runs each cluster in a network namespace.
        test: {
          ...common,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['test/e2e/{proxy,runtime}-*.test.ts', ...CLUSTERS],
          globalSetup: ['test/support/shared-cluster.ts'],
          fileParallelism: false,
        },
      },
      {
        // Clusters that are set up in another way than that one, each file its own. They wait more than they work (for leases
        // to run out, for Pods to be drained): deploy/test.sh runs them beside the others.
        test: {
          ...common,
          name: 'clusters',
          include: CLUSTERS,
          fileParallelism: false,
        },
      },
      {
        // One part alone against the real thing: the proxy and the kernel's rules, the kubelet's runtimes and their engines.
        // Needs root and network namespaces, but no cluster. Each file makes its own: two at once do not meet.
        test: {
          ...common,
          name: 'network',
          include: ['test/e2e/{proxy,runtime}-*.test.ts'],
        },
      },
      {
        // What this machine's kernel lacks (IPVS): in an emulated machine with Debian's.
        test: {
          ...common,
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
        },
      },
    ],
  },
});
