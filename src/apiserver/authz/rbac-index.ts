import type { KubeObject } from '../../api/types.ts';
import type { CacheEntry } from '../cache-entry.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { State } from '../state.ts';
import { parseObject } from '../stored-object.ts';
import { type PolicyRule, type Subject, subjectKey, subjectKeysOf } from './policy-rule.ts';

/** One way in which a user comes by rules. */
export interface Grant {
  /** The rules of the bound role; none when there is no such role. */
  readonly rules: readonly PolicyRule[];
  /** `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"` */
  readonly why: string;
}

interface Binding {
  readonly key: string;
  readonly kind: 'ClusterRoleBinding' | 'RoleBinding';
  readonly namespace: string;
  readonly name: string;
  readonly role: { readonly kind: string; readonly name: string };
  readonly subjects: readonly Subject[];
}

const GROUP = 'rbac.authorization.k8s.io';

/**
 * Roles and bindings, indexed by who they are about, and kept true by the watch caches: a decision looks only at
 * the bindings of the user and of the user's groups, however many there are.
 */
export class RbacIndex {
  readonly #deps: { readonly state: State; readonly kinds: KindRegistry };
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  readonly #bindings = new Map<string, Binding>();
  /** By `NAMESPACE|SUBJECT`; the namespace is empty for cluster-wide bindings. */
  readonly #bySubject = new Map<string, Set<Binding>>();

  constructor(deps: { state: State; kinds: KindRegistry }) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    await this.#follow('clusterroles', (entry, gone) => this.#setRole(entry, gone));
    await this.#follow('roles', (entry, gone) => this.#setRole(entry, gone));
    await this.#follow('clusterrolebindings', (entry, gone) =>
      this.#setBinding(entry, gone, 'ClusterRoleBinding'),
    );
    await this.#follow('rolebindings', (entry, gone) =>
      this.#setBinding(entry, gone, 'RoleBinding'),
    );
  }

  /** What the user holds in `namespace` (empty: cluster-wide only). */
  *grantsOf(user: UserInfo, namespace: string): Generator<Grant> {
    const subjects = subjectKeysOf(user);
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      for (const subject of subjects) {
        for (const binding of this.#bySubject.get(`${scope}|${subject}`) ?? []) {
          yield {
            rules: this.rulesOf(binding.role, binding.namespace),
            why: describe(binding, subject),
          };
        }
      }
    }
  }

  /** The rules of a role as a binding in `namespace` names it. */
  rulesOf(role: { kind: string; name: string }, namespace: string): readonly PolicyRule[] {
    const key = role.kind === 'ClusterRole' ? role.name : `${namespace}/${role.name}`;
    return this.#roles.get(key) ?? [];
  }

  async #follow(
    resource: string,
    apply: (entry: CacheEntry, gone: boolean) => void,
  ): Promise<void> {
    const { state, kinds } = this.#deps;
    const kind = kinds.get(GROUP, 'v1', resource);
    if (!kind) throw new Error(`The kind ${resource} is not declared`);
    const cache = await state.cache(kind);
    cache.addWatcher({
      scope: { namespace: '' },
      offer: ({ entry, type }) => apply(entry, type === 'DELETED'),
    });
    for (const entry of cache.slice('')) apply(entry, false);
  }

  #setRole(entry: CacheEntry, gone: boolean): void {
    if (gone) this.#roles.delete(entry.key);
    else {
      const { rules } = parseObject(entry.served.bytes) as { rules?: PolicyRule[] };
      this.#roles.set(entry.key, rules ?? []);
    }
  }

  #setBinding(entry: CacheEntry, gone: boolean, kind: Binding['kind']): void {
    const key = `${kind} ${entry.key}`;
    const before = this.#bindings.get(key);
    if (before) this.#unindex(before);
    this.#bindings.delete(key);
    if (gone) return;
    const object = parseObject(entry.served.bytes) as KubeObject & {
      roleRef: Binding['role'];
      subjects?: Subject[];
    };
    const { namespace, name } = entry;
    const { roleRef: role, subjects = [] } = object;
    const binding = { key, kind, namespace, name, role, subjects };
    this.#bindings.set(key, binding);
    for (const home of homesOf(binding)) {
      const bindings = this.#bySubject.get(home) ?? new Set();
      bindings.add(binding);
      this.#bySubject.set(home, bindings);
    }
  }

  #unindex(binding: Binding): void {
    for (const home of homesOf(binding)) {
      const bindings = this.#bySubject.get(home);
      bindings?.delete(binding);
      if (bindings?.size === 0) this.#bySubject.delete(home);
    }
  }
}

function homesOf({ namespace, subjects }: Binding): string[] {
  return subjects.map((subject) => `${namespace}|${subjectKey(subject, namespace)}`);
}

function describe({ kind, namespace, name, role }: Binding, subject: string): string {
  const [type, ...rest] = subject.split(':');
  const full = namespace === '' ? name : `${name}/${namespace}`;
  return `RBAC: allowed by ${kind} ${JSON.stringify(full)} of ${role.kind} ${JSON.stringify(role.name)} to ${type} ${JSON.stringify(rest.join(':'))}`;
}
