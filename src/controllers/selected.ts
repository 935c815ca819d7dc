import { fromMap, matches, type Selector } from '../api/labels.ts';
import type { StoredMeta } from '../api/types.ts';
import type { Informer, Lister } from '../client/client.ts';

const LABEL = 'label';
const SELECTOR = 'selector';
/** So few are looked through faster than another index entry is read. */
const FEW = 64;

interface Labelled {
  readonly metadata: StoredMeta;
}

interface Selecting extends Labelled {
  readonly spec?: { readonly selector?: Readonly<Record<string, string>> | undefined } | undefined;
}

/** Lets `selectedBy` answer without a scan of the namespace. Every controller that uses it calls this first. */
export function indexByLabel<T extends Labelled>(informer: Informer<T>): void {
  informer.addIndex(LABEL, ({ metadata }) =>
    Object.entries(metadata.labels ?? {}).map(([key, value]) => entry(metadata, key, value)),
  );
}

/** The objects of a namespace that a selector selects. */
export function selectedBy<T extends Labelled>(
  objects: Lister<T>,
  namespace: string,
  selector: Selector,
): T[] {
  let fewest: T[] | undefined;
  for (const { key, operator, values } of selector) {
    if (operator !== '=' || (fewest && fewest.length <= FEW)) continue;
    const found = objects.byIndex(LABEL, entry({ namespace }, key, values[0] ?? ''));
    if (!fewest || found.length < fewest.length) fewest = found;
  }
  const candidates = fewest ?? objects.list(namespace);
  return candidates.filter(({ metadata }) => matches(selector, metadata.labels));
}

/** Lets `selectorsOf` find objects by the labels that their plain selector asks for. */
export function indexBySelector<T extends Selecting>(informer: Informer<T>): void {
  informer.addIndex(SELECTOR, ({ metadata, spec }) => {
    // One pair is enough: whoever lacks it is not selected.
    const [first] = fromMap(spec?.selector);
    return first ? [entry(metadata, first.key, first.values[0] ?? '')] : [];
  });
}

/** The objects whose plain selector selects these labels; one without a selector selects nothing. */
export function selectorsOf<T extends Selecting>(
  selecting: Lister<T>,
  { namespace, labels }: { namespace: string; labels?: Record<string, string> | undefined },
): T[] {
  return Object.entries(labels ?? {})
    .flatMap(([key, value]) => selecting.byIndex(SELECTOR, entry({ namespace }, key, value)))
    .filter(({ spec }) => matches(fromMap(spec?.selector), labels));
}

function entry({ namespace }: { namespace: string }, key: string, value: string): string {
  return `${namespace}/${key}=${value}`;
}
