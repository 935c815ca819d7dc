import type { PriorityClass } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { parseObject } from '../stored-object.ts';
import { forbiddenByAdmission, isMirrorPod, type PluginDeps, podToCreate } from './plugin.ts';

const DEFAULT_PRIORITY = 0;
const DEFAULT_POLICY = 'PreemptLowerPriority';

/** A Pod's priority and preemption policy are those of its PriorityClass, or of the one that is everybody's default. */
export function priority(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'Priority',
    async mutate(request) {
      const pod = podToCreate(request);
      if (!pod?.spec || isMirrorPod(pod)) return;
      const found = await classOf(deps, request, pod.spec.priorityClassName);
      const value = found?.value ?? DEFAULT_PRIORITY;
      const policy = found?.preemptionPolicy ?? DEFAULT_POLICY;
      if (pod.spec.priority !== undefined && pod.spec.priority !== value) {
        throw forbiddenByAdmission(
          request,
          `the integer value of priority (${pod.spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      if (pod.spec.preemptionPolicy !== undefined && pod.spec.preemptionPolicy !== policy) {
        throw forbiddenByAdmission(
          request,
          `the string value of PreemptionPolicy (${pod.spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      pod.spec.priority = value;
      pod.spec.preemptionPolicy = policy;
      if (found) pod.spec.priorityClassName = found.metadata.name;
    },
  };
}

async function classOf(
  { kinds, state }: PluginDeps,
  request: AdmissionRequest,
  name: string | undefined,
): Promise<PriorityClass | undefined> {
  const kind = kinds.get('scheduling.k8s.io', 'v1', 'priorityclasses');
  if (!kind) return undefined;
  const cache = await state.cache(kind);
  if (name) {
    const entry = cache.get(name);
    if (!entry) throw forbiddenByAdmission(request, `no PriorityClass with name ${name} was found`);
    return parseObject(entry.served.bytes) as unknown as PriorityClass;
  }
  const defaults = cache
    .slice('')
    .map((entry) => parseObject(entry.served.bytes) as unknown as PriorityClass)
    .filter(({ globalDefault }) => globalDefault);
  // Of several defaults the lowest counts.
  return defaults.sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
}
