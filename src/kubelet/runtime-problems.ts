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

/** What of the runtime keeps the node from being ready. */
export function runtimeProblems(conditions: Conditions): string[] {
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
