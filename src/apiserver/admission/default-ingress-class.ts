import { INGRESS_CLASSES, INGRESSES } from '../../api/resource-types.ts';
import type { Ingress } from '../../api/types.ts';
import type { AdmissionPlugin } from '../admission.ts';
import { allOf, isAbout, type PluginDeps } from './plugin.ts';
import { newest } from './storage.ts';

const IS_DEFAULT = 'ingressclass.kubernetes.io/is-default-class';
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

/** An Ingress that names no class gets the default one: the newest, when there are several. */
export function defaultIngressClass(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    async mutate(request) {
      if (request.operation !== 'CREATE' || !isAbout(request, INGRESSES)) return;
      const { metadata, spec } = request.object as unknown as Ingress;
      if (!spec || spec.ingressClassName !== undefined) return;
      if (metadata.annotations?.[CLASS_ANNOTATION] !== undefined) return;
      const all = await allOf(deps, INGRESS_CLASSES);
      const found = newest(all.filter((one) => one.metadata.annotations?.[IS_DEFAULT] === 'true'));
      if (found) spec.ingressClassName = found;
    },
  };
}
