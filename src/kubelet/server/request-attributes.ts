/** What a request to the kubelet asks for, as the API server's authorizers know it: a sub-resource of its node. */
export interface RequestAttributes {
  readonly verb: string;
  /** Any of them is enough; the narrow ones come first (KEP-2862). */
  readonly subresources: readonly string[];
}

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Doors to what runs: whoever may only read must not get in, whatever the method of the handshake (a WebSocket's is GET). */
const STREAMS = new Set(['exec', 'attach', 'portForward', 'run', 'cri']);

const OWN: Readonly<Record<string, readonly string[]>> = {
  stats: ['stats'],
  metrics: ['metrics'],
  logs: ['log'],
  spec: ['spec'],
  checkpoint: ['checkpoint'],
  healthz: ['healthz', 'proxy'],
  configz: ['configz', 'proxy'],
  pods: ['pods', 'proxy'],
  runningpods: ['pods', 'proxy'],
};

/** Upstream's node authorizer attributes getter. Pure. */
export function requestAttributes(method: string, path: string): RequestAttributes {
  // As the handlers read it: what stands between two slashes that follow each other is nothing.
  const [first = ''] = path.split('/').filter((part) => part !== '');
  if (STREAMS.has(first)) return { verb: 'create', subresources: ['proxy'] };
  const verb = VERBS[method] ?? method.toLowerCase();
  return { verb, subresources: OWN[first] ?? ['proxy'] };
}
