import { invalid, invalidObject } from '../../api/field-errors.ts';
import { NAMESPACES, PODS } from '../../api/resource-types.ts';
import type { Namespace, Pod, PodTemplateSpec } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { allOf, forbiddenByAdmission, isAbout, lookUp, type PluginDeps } from './plugin.ts';
import type { PodFacts, Violation } from './pod-security/check.ts';
import {
  LABEL_PREFIX,
  type LevelVersion,
  levelText,
  type Policy,
  policyOf,
  violationsOf,
  violationText,
} from './pod-security/policy.ts';

/** PodSecurityConfiguration (pod-security.admission.config.k8s.io/v1). */
export interface PodSecurityOptions {
  readonly defaults: Policy;
  readonly exemptions: {
    readonly usernames: readonly string[];
    readonly namespaces: readonly string[];
    readonly runtimeClasses: readonly string[];
  };
}

const OPEN: LevelVersion = { level: 'privileged', version: 'latest' };
export const DEFAULT_POD_SECURITY: PodSecurityOptions = {
  defaults: { enforce: OPEN, audit: OPEN, warn: OPEN },
  exemptions: { usernames: [], namespaces: [], runtimeClasses: [] },
};

/** Sub-resources that change nothing of what a Pod may do. */
const HARMLESS = new Set([
  ...['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status'],
]);

/** Kinds with a template, and where in the object it is. They are warned of; what they make is judged as Pods. */
const TEMPLATES: Readonly<Record<string, (object: Templated) => PodTemplateSpec | undefined>> = {
  '/podtemplates': ({ template }) => template,
  '/replicationcontrollers': ({ spec }) => spec?.template,
  'apps/daemonsets': ({ spec }) => spec?.template,
  'apps/deployments': ({ spec }) => spec?.template,
  'apps/replicasets': ({ spec }) => spec?.template,
  'apps/statefulsets': ({ spec }) => spec?.template,
  'batch/cronjobs': ({ spec }) => spec?.jobTemplate?.spec?.template,
  'batch/jobs': ({ spec }) => spec?.template,
};

interface Templated {
  template?: PodTemplateSpec;
  spec?: { template?: PodTemplateSpec; jobTemplate?: { spec?: { template?: PodTemplateSpec } } };
}

/** The Pod Security Standards, as the labels of a namespace ask for them (KEP-2579). */
export function podSecurity(
  deps: PluginDeps,
  options: PodSecurityOptions = DEFAULT_POD_SECURITY,
): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    async validate(request) {
      const { operation, kind, subresource } = request;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      if (isAbout(request, NAMESPACES)) return judgeNamespace(deps, options, request);
      if (kind.group === '' && kind.resource === 'pods') {
        if (!HARMLESS.has(subresource)) await judgePod(deps, options, request);
        return;
      }
      const templateOf = TEMPLATES[`${kind.group}/${kind.resource}`];
      if (templateOf && subresource === '') await judgeTemplate(deps, options, request);
    },
  };
}

function exemption(
  { exemptions }: PodSecurityOptions,
  { namespace, user }: AdmissionRequest,
  runtimeClass = '',
): string | undefined {
  if (exemptions.namespaces.includes(namespace)) return 'namespace';
  if (exemptions.usernames.includes(user.name)) return 'user';
  if (runtimeClass !== '' && exemptions.runtimeClasses.includes(runtimeClass)) {
    return 'runtimeClass';
  }
  return undefined;
}

async function policyFor(
  deps: PluginDeps,
  { defaults }: PodSecurityOptions,
  name: string,
): Promise<Policy> {
  const found = await lookUp(deps, NAMESPACES, { namespace: '', name });
  return policyOf(found?.metadata.labels ?? {}, defaults).policy;
}

function factsOf({ metadata, spec }: PodTemplateSpec | Pod): PodFacts | undefined {
  return spec && { spec, annotations: metadata?.annotations ?? {} };
}

async function judgePod(
  deps: PluginDeps,
  options: PodSecurityOptions,
  request: AdmissionRequest,
): Promise<void> {
  const pod = request.object as unknown as Pod;
  const facts = factsOf(pod);
  if (!facts || !changesAnything(request)) return;
  const exempt = exemption(options, request, facts.spec.runtimeClassName);
  if (exempt !== undefined) {
    request.annotate(`${LABEL_PREFIX}exempt`, exempt);
    return;
  }
  const policy = await policyFor(deps, options, request.namespace);
  request.annotate(`${LABEL_PREFIX}enforce-policy`, levelText(policy.enforce));
  const violations = violationsOf(policy.enforce, facts);
  audit(request, policy, facts);
  if (violations.length > 0) {
    throw forbiddenByAdmission(request, `violates ${describe(policy.enforce, violations)}`);
  }
  warn(request, policy, facts);
}

/** An update counts when it changes what the rules look at, or an image. */
function changesAnything({ operation, object, old }: AdmissionRequest): boolean {
  if (operation === 'CREATE') return true;
  const before = factsOf(old as unknown as Pod);
  const now = factsOf(object as unknown as Pod);
  return !jsonEqual(judgedParts(before), judgedParts(now));
}

function judgedParts(facts: PodFacts | undefined): unknown {
  if (!facts) return undefined;
  const { spec, annotations } = facts;
  const bare = (list: readonly object[] | undefined) =>
    (list ?? []).map((container) => ({ ...container, resources: {} }));
  return {
    annotations: Object.entries(annotations).filter(([key]) => key.includes('apparmor')),
    containers: bare(spec.containers),
    initContainers: bare(spec.initContainers),
    ephemeralContainers: bare(spec.ephemeralContainers),
  };
}

async function judgeTemplate(
  deps: PluginDeps,
  options: PodSecurityOptions,
  request: AdmissionRequest,
): Promise<void> {
  const { group, resource } = request.kind;
  const template = TEMPLATES[`${group}/${resource}`]?.(request.object as Templated);
  const facts = template && factsOf(template);
  if (!facts || exemption(options, request, facts.spec.runtimeClassName) !== undefined) return;
  const policy = await policyFor(deps, options, request.namespace);
  audit(request, policy, facts);
  warn(request, policy, facts);
}

function audit(request: AdmissionRequest, { audit: mode }: Policy, facts: PodFacts): void {
  const violations = violationsOf(mode, facts);
  if (violations.length === 0) return;
  const text = `would violate ${describe(mode, violations)}`;
  request.annotate(`${LABEL_PREFIX}audit-violations`, text);
}

function warn(request: AdmissionRequest, { warn: mode }: Policy, facts: PodFacts): void {
  const violations = violationsOf(mode, facts);
  if (violations.length > 0) request.warn(`would violate ${describe(mode, violations)}`);
}

function describe(mode: LevelVersion, violations: readonly Violation[]): string {
  return `PodSecurity ${JSON.stringify(levelText(mode))}: ${violationText(violations)}`;
}

/** Labels must make sense; when they grow stricter, the Pods that are there already are named in warnings. */
async function judgeNamespace(
  deps: PluginDeps,
  options: PodSecurityOptions,
  request: AdmissionRequest,
): Promise<void> {
  const { metadata } = request.object as unknown as Namespace;
  const { policy, errors } = policyOf(metadata.labels ?? {}, options.defaults);
  const before = policyOf(request.old?.metadata.labels ?? {}, options.defaults);
  const fresh = errors.filter(
    ({ field, value }) => request.old?.metadata.labels?.[field] !== value,
  );
  if (fresh.length > 0) {
    const problems = fresh.map(({ field, value, why }) =>
      invalid(`metadata.labels[${field}]`, value, why),
    );
    throw invalidObject(request.kind, metadata.name, problems);
  }
  const { enforce } = policy;
  if (request.operation === 'CREATE' || jsonEqual(before.policy.enforce, enforce)) return;
  if (enforce.level === 'privileged' || options.exemptions.namespaces.includes(metadata.name))
    return;
  await warnOfExisting(deps, request, enforce);
}

const MAX_LINES = 20;

async function warnOfExisting(
  deps: PluginDeps,
  request: AdmissionRequest,
  enforce: LevelVersion,
): Promise<void> {
  const byReason = new Map<string, string[]>();
  for (const pod of await allOf(deps, PODS, request.name)) {
    const facts = factsOf(pod);
    const reasons = facts ? violationsOf(enforce, facts).map(({ reason }) => reason) : [];
    if (reasons.length === 0) continue;
    const text = reasons.join(', ');
    byReason.set(text, [...(byReason.get(text) ?? []), pod.metadata.name]);
  }
  if (byReason.size === 0) return;
  const [namespace, level] = [request.name, levelText(enforce)].map((text) => JSON.stringify(text));
  request.warn(
    `existing pods in namespace ${namespace} violate the new PodSecurity enforce level ${level}`,
  );
  for (const [reasons, [first = '', ...others]] of [...byReason].slice(0, MAX_LINES)) {
    const more =
      others.length === 0
        ? ''
        : ` (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})`;
    request.warn(`${first}${more}: ${reasons}`);
  }
}
