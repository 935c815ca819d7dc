import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import { type KubeletConfiguration, parseDuration } from '../config.ts';
import type { Pleg } from '../pleg.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { LogRotation } from './log-rotation.ts';

/** Rotates the logs of the containers that run on this node, as the configuration says. */
export function podLogRotation(
  {
    runtime,
    clock,
    log,
    pleg,
  }: { runtime: ContainerRuntime; clock: Clock; log: Logger; pleg: Pleg },
  config: KubeletConfiguration,
): LogRotation {
  const { containerLogMaxSize, containerLogMaxFiles, containerLogMonitorInterval } = config;
  return new LogRotation(
    {
      clock,
      log,
      running: () =>
        pleg
          .list()
          .flatMap((pod) => pod.containers)
          .filter((c) => c.state === 'running' && c.logPath.startsWith('/'))
          .map(({ id, logPath }) => ({ containerId: id, path: logPath })),
      reopen: (id, signal) => runtime.reopenContainerLog(id, signal),
    },
    {
      maxSize: wholeValue(parseQuantity(containerLogMaxSize)),
      maxFiles: containerLogMaxFiles,
      periodMs: parseDuration(containerLogMonitorInterval),
    },
  );
}
