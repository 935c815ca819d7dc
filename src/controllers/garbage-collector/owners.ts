import type { OwnerReference } from '../../api/types.ts';
import { type Node, waitsForDependents } from './graph.ts';

/** What is known of the owner that a reference names. `misplaced`: it exists, but not where the dependent may be owned from. */
export type OwnerState = { readonly owner: Node | 'exists' } | 'absent' | 'misplaced';

export interface Classified {
  /** Owners that exist and stay. */
  readonly solid: OwnerReference[];
  /** Owners that do not exist. */
  readonly dangling: OwnerReference[];
  /** Owners that go as soon as their dependents are gone. */
  readonly waiting: OwnerReference[];
}

/** Sorts a node's owner references by what has become of the owners. Pure. */
export function classify(
  references: readonly OwnerReference[],
  stateOf: (reference: OwnerReference) => OwnerState,
): Classified {
  const classified: Classified = { solid: [], dangling: [], waiting: [] };
  for (const reference of references) {
    const state = stateOf(reference);
    if (state === 'absent' || state === 'misplaced') classified.dangling.push(reference);
    else if (state.owner !== 'exists' && waitsForDependents(state.owner)) {
      classified.waiting.push(reference);
    } else classified.solid.push(reference);
  }
  return classified;
}

/** What a dependent's owners mean for it (upstream's attemptToDeleteItem). */
export type Verdict =
  | { readonly action: 'keep' }
  | { readonly action: 'drop-references'; readonly uids: readonly string[] }
  | { readonly action: 'delete'; readonly policy: 'Foreground' | 'Background' | 'Orphan' };

/** Pure. `dependents` are those of the node itself. */
export function judge(node: Node, owners: Classified, dependents: readonly Node[]): Verdict {
  const { solid, dangling, waiting } = owners;
  if (node.owners.length === 0) return { action: 'keep' };
  if (solid.length > 0) {
    const uids = [...dangling, ...waiting].map(({ uid }) => uid);
    return uids.length === 0 ? { action: 'keep' } : { action: 'drop-references', uids };
  }
  // An owner waits for us in the foreground: then our own dependents are waited for, too.
  if (waiting.length > 0 && dependents.length > 0) {
    return { action: 'delete', policy: 'Foreground' };
  }
  if (node.finalizers.includes('orphan')) return { action: 'delete', policy: 'Orphan' };
  if (node.finalizers.includes('foregroundDeletion')) {
    return { action: 'delete', policy: 'Foreground' };
  }
  return { action: 'delete', policy: 'Background' };
}
