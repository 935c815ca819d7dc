import { selects } from '../../../api/labels.ts';
import { NAMESPACES } from '../../../api/resource-types.ts';
import type { KubeObject, LabelSelector } from '../../../api/types.ts';
import type { AdmissionRequest } from '../../admission.ts';
import type { ResourceKind } from '../../resource-kind.ts';
import { lookUp, type PluginDeps } from '../plugin.ts';

/** What a webhook or a policy is about (admissionregistration/v1 RuleWithOperations, NamedRuleWithOperations). */
export interface Rule {
  readonly operations?: readonly string[] | undefined;
  readonly apiGroups?: readonly string[] | undefined;
  readonly apiVersions?: readonly string[] | undefined;
  readonly resources?: readonly string[] | undefined;
  readonly resourceNames?: readonly string[] | undefined;
  readonly scope?: string | undefined;
}

export interface MatchResources {
  readonly rules: readonly Rule[];
  readonly exclude?: readonly Rule[] | undefined;
  readonly matchPolicy?: string | undefined;
  readonly namespaceSelector?: LabelSelector | undefined;
  readonly objectSelector?: LabelSelector | undefined;
}

/** Kinds that admission is made of: what decides about them could lock everybody out for good. */
const EXEMPT = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
]);

export function isExempt({ kind }: AdmissionRequest): boolean {
  return kind.group === 'admissionregistration.k8s.io' && EXEMPT.has(kind.resource);
}

/**
 * The kind as which the request concerns these rules: its own, or with matchPolicy Equivalent another version of it.
 * Undefined: it is none of their business.
 */
export async function matchedKind(
  deps: PluginDeps,
  match: MatchResources,
  request: AdmissionRequest,
): Promise<ResourceKind | undefined> {
  const kind = kindFor(deps, match, request);
  if (!kind || !matchesLabels(match.objectSelector, request)) return undefined;
  return (await matchesNamespace(deps, match.namespaceSelector, request)) ? kind : undefined;
}

function kindFor(
  { kinds }: PluginDeps,
  { rules, exclude = [], matchPolicy }: MatchResources,
  request: AdmissionRequest,
): ResourceKind | undefined {
  const { kind } = request;
  const names = (kinds: readonly ResourceKind[], list: readonly Rule[]) =>
    kinds.find((one) => list.some((rule) => ruleMatches(rule, request, one)));
  const others =
    matchPolicy === 'Exact' ? [] : kinds.all().filter((other) => isEquivalent(other, kind));
  if (names([kind, ...others], exclude)) return undefined;
  return names([kind, ...others], rules);
}

/** Another version of the same objects. Where a webhook converts between them, each version stands for itself. */
function isEquivalent(a: ResourceKind, b: ResourceKind): boolean {
  if (a.storagePrefix !== b.storagePrefix || a.conversion || b.conversion) return false;
  return a.group !== b.group || a.version !== b.version;
}

function ruleMatches(rule: Rule, request: AdmissionRequest, kind: ResourceKind): boolean {
  const has = (list: readonly string[] | undefined, word: string): boolean =>
    (list ?? []).some((one) => one === '*' || one === word);
  const { scope = '*', resourceNames = [] } = rule;
  // A namespace belongs to the cluster.
  const isNamespaced = kind.namespaced;
  return (
    (scope === '*' || (scope === 'Namespaced') === isNamespaced) &&
    has(rule.operations, request.operation) &&
    has(rule.apiGroups, kind.group) &&
    has(rule.apiVersions, kind.version) &&
    (rule.resources ?? []).some((one) =>
      resourceMatches(one, kind.resource, request.subresource),
    ) &&
    (resourceNames.length === 0 || resourceNames.includes(request.name))
  );
}

function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const [of = '', sub = ''] = pattern.split('/');
  return (of === '*' || of === resource) && (sub === '*' || sub === subresource);
}

/** True when the selector selects what is written, or what was there. */
function matchesLabels(
  selector: LabelSelector | undefined,
  { object, old }: AdmissionRequest,
): boolean {
  if (isEmpty(selector)) return true;
  return [object, old].some((one) => one && selects(selector, one.metadata?.labels));
}

async function matchesNamespace(
  deps: PluginDeps,
  selector: LabelSelector | undefined,
  request: AdmissionRequest,
): Promise<boolean> {
  if (isEmpty(selector)) return true;
  const namespace = await namespaceOf(deps, request);
  // What is in no namespace is never left out by a selector of namespaces.
  return namespace === undefined || selects(selector, namespace.metadata.labels);
}

function isEmpty(selector: LabelSelector | undefined): boolean {
  if (!selector) return true;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

/** The namespace that a request is about, or is itself. Undefined for what is in none. */
export async function namespaceOf(
  deps: PluginDeps,
  { kind, object, old, namespace, name }: AdmissionRequest,
): Promise<KubeObject | undefined> {
  if (kind.group === '' && kind.resource === 'namespaces') {
    return (
      object ??
      old ??
      ((await lookUp(deps, NAMESPACES, { namespace: '', name })) as KubeObject | undefined)
    );
  }
  if (namespace === '') return undefined;
  return (await lookUp(deps, NAMESPACES, { namespace: '', name: namespace })) as
    | KubeObject
    | undefined;
}
