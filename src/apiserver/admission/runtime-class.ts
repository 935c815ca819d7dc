import { RUNTIME_CLASSES } from '../../api/system-resource-types.ts';
import type { PodSpec, RuntimeClass } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { forbiddenByAdmission, lookUp, type PluginDeps, podToCreate } from './plugin.ts';

/** A Pod bears the overhead, the node selector and the tolerations of its RuntimeClass (KEP-688). */
export function runtimeClass(deps: PluginDeps): AdmissionPlugin {
  const classOf = async (request: AdmissionRequest, spec: PodSpec) => {
    const name = spec.runtimeClassName;
    if (name === undefined) return undefined;
    const found = await lookUp(deps, RUNTIME_CLASSES, { namespace: '', name });
    if (found) return found;
    throw forbiddenByAdmission(request, `pod rejected: RuntimeClass "${name}" not found`);
  };
  return {
    name: 'RuntimeClass',
    async mutate(request) {
      const spec = podToCreate(request)?.spec;
      const found = spec && (await classOf(request, spec));
      if (!spec || !found) return;
      setOverhead(request, spec, found);
      setScheduling(request, spec, found);
    },
    async validate(request) {
      const spec = podToCreate(request)?.spec;
      if (!spec) return;
      const overhead = (await classOf(request, spec))?.overhead?.podFixed;
      if (jsonEqual(spec.overhead ?? {}, overhead ?? {})) return;
      const why =
        overhead === undefined
          ? 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'
          : 'pod rejected: Pod Overhead does not match the Overhead of its RuntimeClass';
      throw forbiddenByAdmission(request, why);
    },
  };
}

function setOverhead(request: AdmissionRequest, spec: PodSpec, { overhead }: RuntimeClass): void {
  const fixed = overhead?.podFixed;
  if (!fixed) return;
  if (spec.overhead && Object.keys(spec.overhead).length > 0 && !jsonEqual(spec.overhead, fixed)) {
    throw forbiddenByAdmission(
      request,
      "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    );
  }
  spec.overhead = { ...fixed };
}

function setScheduling(
  request: AdmissionRequest,
  spec: PodSpec,
  { scheduling }: RuntimeClass,
): void {
  for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key];
    if (own !== undefined && own !== value) {
      throw forbiddenByAdmission(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
      );
    }
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  for (const toleration of scheduling?.tolerations ?? []) {
    if ((spec.tolerations ?? []).some((known) => jsonEqual(known, toleration))) continue;
    spec.tolerations = [...(spec.tolerations ?? []), { ...toleration }];
  }
}
