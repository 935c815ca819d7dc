import type { Pod } from '../api/types.ts';
import { type Judgement, notApplicable, unless, when } from './cis-judgement.ts';
import type { ClusterObjects } from './cis-objects.ts';
import { hasRights } from './cis-rights.ts';

/** What Pod Security does where a namespace says nothing (--admission-control-config-file). */
export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

interface Facts {
  readonly objects: ClusterObjects;
  readonly podSecurityDefault: PodSecurityLevel;
  readonly flags: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

type Judge = (facts: Facts, args: readonly string[]) => Judgement;

/** Namespaces of the cluster itself; all others are of its users. */
const OWN = new Set(['kube-system', 'kube-public', 'kube-node-lease']);
const LEVELS: readonly string[] = ['privileged', 'baseline', 'restricted'];
const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** By the words of the table of controls. */
export const WORKLOAD_JUDGES: Readonly<Record<string, Judge>> = {
  /** Every namespace of users must enforce the level, or one above it. */
  enforces({ objects, podSecurityDefault }, [level = '']) {
    const lax = objects.namespaces.filter(({ metadata: { name, labels } }) => {
      const enforced = labels?.[ENFORCE] ?? podSecurityDefault;
      return !OWN.has(name) && LEVELS.indexOf(enforced) < LEVELS.indexOf(level);
    });
    return unless(
      lax.map(({ metadata }) => metadata.name),
      `Every namespace of users enforces ${level}`,
      `Namespaces do not enforce ${level}`,
    );
  },

  windows(facts, args) {
    const os = facts.objects.nodes.map(({ metadata }) => metadata.labels?.['kubernetes.io/os']);
    if (!os.includes('windows')) return notApplicable('No node runs Windows');
    return WORKLOAD_JUDGES.enforces?.(facts, args) ?? notApplicable('');
  },

  'default-accounts'({ objects }) {
    const used = objects.accounts.filter(({ metadata: { name, namespace }, ...account }) => {
      const isMounted = account.automountServiceAccountToken !== false;
      return name === 'default' && (isMounted || hasRights(objects, namespace, name));
    });
    return unless(
      used.map(({ metadata }) => metadata.namespace),
      'All have no rights, and automountServiceAccountToken is false',
      'automountServiceAccountToken is not false, or the account has rights, in',
    );
  },

  'mounted-tokens'({ objects }) {
    const idle = objects.pods.filter(
      ({ metadata: { namespace }, spec }) =>
        spec?.volumes?.some(({ projected }) =>
          projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken),
        ) && !hasRights(objects, namespace, spec.serviceAccountName ?? 'default'),
    );
    return unless(
      idle.map(placed),
      'Every Pod that mounts a token has rights by it',
      'Tokens that give no rights are mounted by',
    );
  },

  'lasting-tokens'({ objects }) {
    const found = objects.lastingTokens.filter((name) => !name.startsWith('kube-system/'));
    return unless(
      found,
      'No account of users has a token that lasts',
      'Secrets hold tokens that last',
    );
  },

  'bootstrap-tokens'({ objects }) {
    return unless(
      objects.tokens.filter(({ expires }) => expires === undefined).map(({ id }) => id),
      'Every bootstrap token expires',
      'Bootstrap tokens never expire',
    );
  },

  'network-policies'({ objects }) {
    const guarded = new Set(objects.policies.map(({ metadata }) => metadata.namespace));
    const names = objects.namespaces.map(({ metadata }) => metadata.name);
    return unless(
      names.filter((name) => !guarded.has(name)),
      'Every namespace has one',
      'Namespaces have none',
    );
  },

  'policy-engine'({ objects, flags }) {
    const proxy = flags.get('proxy');
    if (proxy && proxy.get('network-policy') !== 'false') {
      return when(true, 'The proxy enforces network policies');
    }
    const engine = objects.pods.find(({ metadata }) => ENGINES.test(metadata.name));
    return engine
      ? when(true, `${placed(engine)} enforces network policies`)
      : when(
          false,
          'The proxy is told not to enforce network policies, and nothing known else does',
        );
  },

  'secret-variables'({ objects }) {
    const found = objects.pods.filter(({ spec }) =>
      containersOf(spec).some(
        ({ env = [], envFrom = [] }) =>
          env.some(({ valueFrom }) => valueFrom?.secretKeyRef) ||
          envFrom.some(({ secretRef }) => secretRef),
      ),
    );
    return unless(
      found.map(placed),
      'No Pod has a Secret in a variable',
      'Secrets are variables of',
    );
  },

  'external-secrets'({ objects }) {
    const driver = objects.csiDrivers.includes('secrets-store.csi.k8s.io');
    const operator = objects.definitions.some((name) => name.endsWith('.external-secrets.io'));
    if (driver) return when(true, 'The CSI driver secrets-store.csi.k8s.io is there');
    if (operator) return when(true, 'The kinds of external-secrets.io are there');
    return when(
      false,
      'Neither the CSI driver secrets-store.csi.k8s.io nor external-secrets.io is there',
    );
  },

  boundaries({ objects }) {
    const used = new Set(objects.pods.map(({ metadata }) => metadata.namespace));
    const users = [...used].filter((name) => !OWN.has(name));
    if (users.length === 0) return notApplicable('No Pods run but those of the cluster itself');
    return users.includes('default')
      ? when(false, 'Pods run in the namespace default')
      : when(true, `Pods of users are in ${users.length} namespaces of their own`);
  },

  seccomp({ objects }) {
    const configurations = [...objects.kubelets.values()] as { seccompDefault?: boolean }[];
    if (configurations.every((one) => one?.seccompDefault)) {
      return when(true, 'RuntimeDefault is the default of every kubelet');
    }
    const bare = objects.pods.filter(({ spec }) => {
      const ofPod = spec?.securityContext?.seccompProfile?.type;
      return containersOf(spec).some(({ securityContext }) => {
        const type = securityContext?.seccompProfile?.type ?? ofPod;
        return type === undefined || type === 'Unconfined';
      });
    });
    return unless(bare.map(placed), 'Every container has a profile', 'Pods without a profile');
  },

  'security-contexts'({ objects }) {
    const bare = objects.pods.filter(
      ({ spec }) =>
        isEmpty(spec?.securityContext) &&
        containersOf(spec).some(({ securityContext }) => isEmpty(securityContext)),
    );
    return unless(bare.map(placed), 'Every container has one', 'Pods without one');
  },

  'default-namespace'({ objects }) {
    return unless(
      objects.inDefault,
      'It holds nothing but what every cluster has there',
      'It holds objects',
    );
  },
};

/** Pods of networks that are known to enforce policies. */
const ENGINES = /^(antrea-agent|calico-node|canal|cilium|kube-router|weave-net)-/;

type Container = NonNullable<Pod['spec']>['containers'][number];

function containersOf(spec: Pod['spec']): readonly Container[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}

function isEmpty(context: object | undefined): boolean {
  return context === undefined || Object.keys(context).length === 0;
}

/** Replicas are one thing: they are named by what made them. */
function placed({ metadata }: Pod): string {
  const { namespace, name, labels, ownerReferences = [] } = metadata;
  const hash = labels?.['pod-template-hash'];
  const [owner] = ownerReferences;
  if (owner?.kind !== 'ReplicaSet' || hash === undefined) return `${namespace}/${name}`;
  return `${namespace}/${owner.name.replace(`-${hash}`, '')}`;
}
