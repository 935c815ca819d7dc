import type { DeviceClass } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';

/** Every class has a resource of its own, too. */
const IMPLICIT = 'deviceclass.resource.kubernetes.io/';

/** Which DeviceClass satisfies requests of an extended resource (KEP-5004). */
export class ExtendedNames {
  readonly #classes: Pick<Informer<DeviceClass>, 'get' | 'list'>;
  #byResource: ReadonlyMap<string, string> | undefined;

  constructor(classes: Pick<Informer<DeviceClass>, 'get' | 'list' | 'addHandler'>) {
    this.#classes = classes;
    const changed = () => {
      this.#byResource = undefined;
    };
    classes.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
  }

  /** Its name; undefined: no devices stand for the resource. */
  classOf(resource: string): string | undefined {
    if (resource.startsWith(IMPLICIT)) {
      const name = resource.slice(IMPLICIT.length);
      return this.#classes.get({ namespace: '', name })?.metadata.name;
    }
    this.#byResource ??= byResource(this.#classes.list());
    return this.#byResource.get(resource);
  }
}

/** Of several classes the newest counts; of equally new ones the first by name. */
function byResource(classes: readonly DeviceClass[]): Map<string, string> {
  const ordered = classes.toSorted((a, b) => {
    const [before, after] = [a, b].map(({ metadata }) => Date.parse(metadata.creationTimestamp));
    return (before ?? 0) - (after ?? 0) || (a.metadata.name < b.metadata.name ? 1 : -1);
  });
  const out = new Map<string, string>();
  for (const { metadata, spec } of ordered) {
    if (spec.extendedResourceName) out.set(spec.extendedResourceName, metadata.name);
  }
  return out;
}
