import type { ObjectKey, ResourceType } from '../api/resource-types.ts';

type Located = Pick<ResourceType, 'group' | 'version' | 'resource' | 'namespaced'>;

/** `/api/v1/namespaces/NS/pods`; without a namespace, the collection over all namespaces. */
export function collectionPath(type: Located, namespace = ''): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope =
    type.namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${type.resource}`;
}

/** The path of one object, or of one of its sub-resources. */
export function objectPath(type: Located, key: ObjectKey, subresource = ''): string {
  const name = encodeURIComponent(key.name);
  const below = subresource === '' ? '' : `/${subresource}`;
  return `${collectionPath(type, key.namespace)}/${name}${below}`;
}

/** `?a=1&b=2`; absent values are left out. */
export function queryString(parameters: Record<string, string | number | boolean | undefined>) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '' && value !== false) query.set(name, String(value));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
