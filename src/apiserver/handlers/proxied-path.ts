/** How much of the path is ours: /api/v1/[namespaces/NAMESPACE/]RESOURCE/NAME/proxy. Any of the names may be `proxy` too. */
export function proxyPathEnd(path: string, namespace: string): number {
  const parts = path.split('/', namespace === '' ? 6 : 8);
  return parts.join('/').length;
}

/** What is behind it, as it was sent: for the one that is proxied to. */
export function proxiedPath(path: string, namespace: string): string {
  return path.slice(proxyPathEnd(path, namespace)) || '/';
}
