import type { Rush, RushOptions } from '../util/rush.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

/** The last few of many take some hundred milliseconds more. */
export const MANY_STARTS: RushOptions = { few: 8, calmMs: 500 };

/** The runtime; what it is asked to start makes the rush. It has its hands full then, and all of the machine's. */
export function withRush(runtime: ContainerRuntime, rush: Rush): ContainerRuntime {
  return {
    ...runtime,
    runPodSandbox: (...args) => rush.during(() => runtime.runPodSandbox(...args)),
    createContainer: (...args) => rush.during(() => runtime.createContainer(...args)),
    startContainer: (...args) => rush.during(() => runtime.startContainer(...args)),
  };
}
