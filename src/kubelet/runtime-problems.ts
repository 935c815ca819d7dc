import type { Clock } from '../util/clock.ts';
import type { RuntimeCondition } from './runtime/runtime.ts';

type Conditions = readonly RuntimeCondition[];

/** Why the runtime cannot give pods a network now; undefined when it can. */
export function networkProblem(conditions: Conditions | undefined): string | undefined {
  const network = conditions?.find((c) => c.type === 'NetworkReady');
  if (!network || network.status) return undefined;
  return problemText(network);
}

function problemText({ type, reason, message }: Conditions[number]): string {
  return `container runtime network not ready: ${type}=false reason:${reason} message:${message}`;
}

// A runtime that is started again answers within this; upstream's maxWaitForContainerRuntime.
const DOWN_AFTER_MS = 30_000;

/** Tells a runtime that is down from one that is being started again, which must not make a node NotReady. */
export class RuntimeHealth {
  readonly #clock: Clock;
  #last: { conditions: Conditions; at: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What keeps the node from being ready. `answer`: the runtime's, undefined when it gave none. */
  problems(answer: Conditions | undefined): string[] {
    const now = this.#clock.now();
    if (answer) this.#last = { conditions: answer, at: now };
    if (!this.#last || now - this.#last.at > DOWN_AFTER_MS) return ['container runtime is down'];
    return runtimeProblems(this.#last.conditions);
  }
}

/** What of the runtime keeps the node from being ready. */
function runtimeProblems(conditions: Conditions): string[] {
  const problems: string[] = [];
  const runtime = conditions.find((c) => c.type === 'RuntimeReady');
  if (!runtime) problems.push('container runtime status check may not have completed yet');
  else if (!runtime.status)
    problems.push(
      `container runtime not ready: RuntimeReady=false reason:${runtime.reason} message:${runtime.message}`,
    );
  const network = conditions.find((c) => c.type === 'NetworkReady');
  if (network && !network.status) problems.push(problemText(network));
  return problems;
}
