import type { DaemonSet } from './types.ts';

/** Where the server counts the templates that a DaemonSet has had (apps/v1 DeprecatedTemplateGeneration). */
export const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

/** The label of its Pods that says which of them they are of. */
export const POD_TEMPLATE_GENERATION = 'pod-template-generation';

/** Undefined where nobody counted, or what is there is no count. */
export function templateGeneration({ metadata }: DaemonSet): number | undefined {
  const text = metadata.annotations?.[TEMPLATE_GENERATION];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
