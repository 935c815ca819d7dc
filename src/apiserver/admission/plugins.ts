import type { AdmissionPlugin } from '../admission.ts';
import { alwaysPullImages } from './always-pull-images.ts';
import {
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  clusterTrustBundleAttest,
} from './certificates.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { denyServiceExternalIps } from './deny-service-external-ips.ts';
import { limitRanger } from './limit-ranger.ts';
import { type MutatingPolicyDeps, mutatingPolicies } from './mutating-policies.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { type PodSecurityOptions, podSecurity } from './pod-security.ts';
import { priority } from './priority.ts';
import { resourceQuota } from './resource-quota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccount } from './service-account.ts';
import {
  defaultStorageClass,
  persistentVolumeClaimResize,
  storageObjectInUseProtection,
} from './storage.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';
import { validatingPolicies } from './validating-policies.ts';
import { mutatingWebhooks, validatingWebhooks, type WebhookDeps } from './webhooks.ts';

/** --enable-admission-plugins, --disable-admission-plugins and the files of --admission-control-config-file. */
export interface AdmissionOptions {
  readonly enable?: readonly string[] | undefined;
  readonly disable?: readonly string[] | undefined;
  readonly podSecurity?: PodSecurityOptions | undefined;
}

export interface AdmissionDeps extends WebhookDeps, MutatingPolicyDeps {}

/** On only when asked for by name. kubeadm asks for NodeRestriction. */
const OFF_BY_DEFAULT = new Set(['NodeRestriction', 'AlwaysPullImages', 'DenyServiceExternalIPs']);

/**
 * The plug-ins that are on, in upstream's order. The names of all are known here: an unknown one in the options is
 * refused with RangeError.
 */
export function admissionPlugins(
  deps: AdmissionDeps,
  options: AdmissionOptions = {},
): AdmissionPlugin[] {
  const { enable = [], disable = [] } = options;
  const all = everyPlugin(deps, options);
  const unknown = [...enable, ...disable].find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) throw new RangeError(`Unknown admission plug-in: ${unknown}`);
  const both = enable.find((name) => disable.includes(name));
  if (both !== undefined) throw new RangeError(`Admission plug-in ${both} is enabled and disabled`);
  return all.filter(
    ({ name }) => enable.includes(name) || (!OFF_BY_DEFAULT.has(name) && !disable.includes(name)),
  );
}

function everyPlugin(deps: AdmissionDeps, options: AdmissionOptions): AdmissionPlugin[] {
  return [
    namespaceLifecycle(deps),
    limitRanger(deps),
    serviceAccount(deps),
    nodeRestriction(deps),
    taintNodesByCondition,
    alwaysPullImages,
    podSecurity(deps, options.podSecurity),
    priority(deps),
    defaultTolerationSeconds,
    persistentVolumeClaimResize(deps),
    runtimeClass(deps),
    defaultStorageClass(deps),
    storageObjectInUseProtection,
    certificateApproval(deps.authorizer),
    certificateSigning(deps.authorizer),
    clusterTrustBundleAttest(deps.authorizer),
    certificateSubjectRestriction,
    defaultIngressClass(deps),
    denyServiceExternalIps,
    mutatingPolicies(deps),
    mutatingWebhooks(deps),
    validatingPolicies(deps),
    validatingWebhooks(deps),
    resourceQuota(deps),
  ];
}
