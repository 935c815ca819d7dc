import { defineConfig } from 'vitest/config';

const common = { pool: 'forks' as const, passWithNoTests: false };

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          // Only for what hangs: properties and models take long on a slow machine.
          testTimeout: 30_000,
          include: ['{src,scripts,deploy}/**/*.test.ts', 'test/support/**/*.test.ts'],
        },
      },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Real containerd, real kernel rules: needs root, runs each cluster in a network namespace.
        test: {
          ...common,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['test/e2e/{proxy,runtime}-*.test.ts'],
          globalSetup: ['test/support/shared-cluster.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // One part alone against the real thing: the proxy and the kernel's rules, the kubelet's runtimes and their engines.
        // Needs root and network namespaces, but no cluster.
        test: {
          ...common,
          name: 'network',
          include: ['test/e2e/{proxy,runtime}-*.test.ts'],
          fileParallelism: false,
          testTimeout: 40_000,
          hookTimeout: 40_000,
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
