import type { AdmissionPlugin } from '../admission.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import type { PluginDeps } from './plugin.ts';
import { priority } from './priority.ts';
import { serviceAccount } from './service-account.ts';

/** The plug-ins that are always on, in upstream's order. */
export function admissionPlugins(deps: PluginDeps): AdmissionPlugin[] {
  return [namespaceLifecycle(deps), serviceAccount(deps), priority(deps), defaultTolerationSeconds];
}
