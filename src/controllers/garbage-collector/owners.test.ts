import { describe, expect, it } from 'vitest';
import { PODS } from '../../api/resource-types.ts';
import { Graph, type Node } from './graph.ts';
import { classify, judge, type OwnerState } from './owners.ts';

function node(uid: string, change: Partial<Node> = {}): Node {
  return {
    uid,
    type: PODS,
    key: { namespace: 'a', name: uid },
    resourceVersion: '1',
    owners: [],
    finalizers: [],
    going: false,
    ...change,
  };
}

const owner = (uid: string, blockOwnerDeletion = true) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: uid,
  uid,
  blockOwnerDeletion,
});
const waiting = node('w', { going: true, finalizers: ['foregroundDeletion'] });

/** `s…` exist, `w…` wait for their dependents, others are absent. */
const stateOf = ({ uid }: { uid: string }): OwnerState => {
  if (uid.startsWith('s')) return { owner: 'exists' };
  return uid.startsWith('w') ? { owner: waiting } : 'absent';
};

const verdict = (owners: string[], change: Partial<Node> = {}, dependents: Node[] = []) => {
  const dependent = node('d', { owners: owners.map((uid) => owner(uid)), ...change });
  return judge(dependent, classify(dependent.owners, stateOf), dependents);
};

describe('judge', () => {
  it.each<[string, ReturnType<typeof verdict>, object]>([
    ['keeps what has no owner', verdict([]), { action: 'keep' }],
    ['keeps what has a living owner', verdict(['s1']), { action: 'keep' }],
    [
      'drops references to absent owners when another lives',
      verdict(['s1', 'x', 'w']),
      { action: 'drop-references', uids: ['x', 'w'] },
    ],
    [
      'deletes what has only absent owners',
      verdict(['x']),
      { action: 'delete', policy: 'Background' },
    ],
    [
      'orphans dependents when the object asks for it',
      verdict(['x'], { finalizers: ['orphan'] }),
      { action: 'delete', policy: 'Orphan' },
    ],
    [
      'goes on in the foreground below an owner that waits',
      verdict(['w'], {}, [node('child')]),
      { action: 'delete', policy: 'Foreground' },
    ],
    [
      'deletes a leaf below an owner that waits',
      verdict(['w']),
      { action: 'delete', policy: 'Background' },
    ],
  ])('%s', (_, got, wanted) => expect(got).toEqual(wanted));
});

describe('Graph', () => {
  it('follows owners as they come and go', () => {
    const graph = new Graph();
    graph.set(node('a', { owners: [owner('o'), owner('p', false)] }));
    graph.set(node('b', { owners: [owner('o', false)] }));
    expect(graph.dependentsOf('o').map(({ uid }) => uid)).toEqual(['a', 'b']);
    expect(graph.blockersOf('o').map(({ uid }) => uid)).toEqual(['a']);
    graph.set(node('a', { owners: [owner('p')] }));
    expect(graph.dependentsOf('o').map(({ uid }) => uid)).toEqual(['b']);
    graph.delete('b');
    expect(graph.dependentsOf('o')).toEqual([]);
  });
});
