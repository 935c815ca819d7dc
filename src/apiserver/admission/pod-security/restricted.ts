import { capabilities, forbiddenSeccomp, hostPathVolumes, seccomp } from './baseline.ts';
import {
  type AnyContainer,
  type Check,
  containersOf,
  named,
  namesWhere,
  type PodFacts,
  plural,
  quoted,
  violation,
} from './check.ts';

/** From v1.25 on a Pod that says that it is for Windows is not asked for what Windows lacks. */
const spares = ({ spec }: PodFacts, minor: number): boolean =>
  minor >= 25 && spec.os?.name === 'windows';

const allowPrivilegeEscalation: Check = {
  since: 8,
  judge(pod, minor) {
    if (spares(pod, minor)) return undefined;
    const bad = namesWhere(pod, (c) => c.securityContext?.allowPrivilegeEscalation !== false);
    if (bad.length === 0) return undefined;
    return {
      reason: 'allowPrivilegeEscalation != false',
      detail: `${named('container', bad)} must set securityContext.allowPrivilegeEscalation=false`,
    };
  },
};

const restrictedCapabilities: Check = {
  since: 22,
  replaces: capabilities,
  judge(pod, minor) {
    if (spares(pod, minor)) return undefined;
    const keeping = namesWhere(
      pod,
      (c) => !(c.securityContext?.capabilities?.drop ?? []).includes('ALL'),
    );
    const extra = new Set<string>();
    const adding = namesWhere(pod, ({ securityContext }) => {
      const added = securityContext?.capabilities?.add ?? [];
      const wrong = added.filter((name) => name !== 'NET_BIND_SERVICE');
      for (const name of wrong) extra.add(name);
      return wrong.length > 0;
    });
    return violation('unrestricted capabilities', [
      ...(keeping.length > 0
        ? [`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`]
        : []),
      ...(adding.length > 0
        ? [
            `${named('container', adding)} must not include ${quoted([...extra].sort())} in securityContext.capabilities.add`,
          ]
        : []),
    ]);
  },
};

const VOLUME_TYPES = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image'],
  ...['persistentVolumeClaim', 'projected', 'secret'],
];

const restrictedVolumes: Check = {
  since: 0,
  replaces: hostPathVolumes,
  judge({ spec }) {
    const types = new Set<string>();
    const names = (spec.volumes ?? []).flatMap((volume) => {
      const type = Object.keys(volume).find((field) => field !== 'name') ?? 'emptyDir';
      if (VOLUME_TYPES.includes(type)) return [];
      types.add(type);
      return [volume.name];
    });
    if (names.length === 0) return undefined;
    const verb = names.length === 1 ? 'uses' : 'use';
    const kinds = `restricted volume ${plural('type', types.size)} ${quoted([...types].sort())}`;
    return {
      reason: 'restricted volume types',
      detail: `${named('volume', names)} ${verb} ${kinds}`,
    };
  },
};

const runAsNonRoot: Check = {
  since: 0,
  judge(pod) {
    const own = pod.spec.securityContext?.runAsNonRoot;
    const asked = (c: AnyContainer) => c.securityContext?.runAsNonRoot;
    const explicit = namesWhere(pod, (c) => asked(c) === false);
    const silent = own === true ? [] : namesWhere(pod, (c) => asked(c) === undefined);
    const all = containersOf(pod);
    // A Pod-wide "no" is harmless where every container says yes for itself.
    const podIsBad = own === false && !all.every((c) => asked(c) === true);
    return violation('runAsNonRoot != true', [
      ...(podIsBad ? ['pod must not set securityContext.runAsNonRoot=false'] : []),
      ...(explicit.length > 0
        ? [`${named('container', explicit)} must not set securityContext.runAsNonRoot=false`]
        : []),
      ...(silent.length > 0 && !podIsBad
        ? [`pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true`]
        : []),
    ]);
  },
};

const runAsUser: Check = {
  since: 23,
  judge(pod) {
    const own = pod.spec.securityContext?.runAsUser === 0;
    const bad = namesWhere(pod, (c) => c.securityContext?.runAsUser === 0);
    return violation('runAsUser=0', [
      ...(own ? ['pod must not set runAsUser=0'] : []),
      ...(bad.length > 0 ? [`${named('container', bad)} must not set runAsUser=0`] : []),
    ]);
  },
};

const restrictedSeccomp: Check = {
  since: 19,
  replaces: seccomp,
  judge(pod, minor) {
    if (spares(pod, minor)) return undefined;
    const own = pod.spec.securityContext?.seccompProfile?.type;
    const silent =
      own === 'RuntimeDefault' || own === 'Localhost'
        ? []
        : namesWhere(pod, (c) => c.securityContext?.seccompProfile?.type === undefined);
    return violation('seccompProfile', [
      ...forbiddenSeccomp(pod),
      ...(silent.length > 0 && own === undefined
        ? [
            `pod or ${named('container', silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
          ]
        : []),
    ]);
  },
};

/** In the order of upstream's names for them. */
export const RESTRICTED: readonly Check[] = [
  allowPrivilegeEscalation,
  restrictedCapabilities,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  restrictedSeccomp,
];
