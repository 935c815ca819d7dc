import { PODS } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { forbiddenByAdmission, isAbout } from './plugin.ts';

/**
 * Every container asks the registry for its image anew, with its own credentials: that a node has pulled a private image
 * for one Pod opens it to no other. Off unless asked for by name.
 */
export const alwaysPullImages: AdmissionPlugin = {
  name: 'AlwaysPullImages',
  mutate(request) {
    for (const [, source] of sources(request)) source.policy('Always');
  },
  validate(request) {
    for (const [field, source] of sources(request)) {
      const policy = source.policy();
      if (policy === 'Always') continue;
      const shown = JSON.stringify(policy ?? '');
      const why = `${field}: Unsupported value: ${shown}: supported values: "Always"`;
      throw forbiddenByAdmission(request, why);
    }
  },
};

interface Source {
  /** Reads the policy, or sets it. */
  policy(value?: string): string | undefined;
}

/** Everything in a Pod that is pulled, by field: containers, and volumes of images. */
function* sources(request: AdmissionRequest): Generator<[string, Source]> {
  const { operation, object } = request;
  if ((operation !== 'CREATE' && operation !== 'UPDATE') || !isAbout(request, PODS)) return;
  const { spec } = object as unknown as Pod;
  for (const list of ['initContainers', 'containers', 'ephemeralContainers'] as const) {
    for (const [i, container] of (spec?.[list] ?? []).entries()) {
      yield [`spec.${list}[${i}].imagePullPolicy`, sourceOf(container, 'imagePullPolicy')];
    }
  }
  for (const [i, { image }] of (spec?.volumes ?? []).entries()) {
    if (image) yield [`spec.volumes[${i}].image.pullPolicy`, sourceOf(image, 'pullPolicy')];
  }
}

function sourceOf<K extends string>(of: { [key in K]?: string | undefined }, key: K): Source {
  return {
    policy(value) {
      if (value !== undefined) Object.assign(of, { [key]: value });
      return of[key];
    },
  };
}
