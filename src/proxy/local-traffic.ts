/**
 * How to recognise traffic of this node's Pods (kube-proxy's detectLocalMode). What is not from a Pod and
 * goes to a cluster IP is masqueraded, as its answer might not find the way back through this node.
 */
export type LocalTraffic =
  | { readonly by: 'none' }
  | { readonly by: 'cidr'; readonly cidrs: readonly string[] }
  | { readonly by: 'interface'; readonly name: string }
  | { readonly by: 'interface-prefix'; readonly prefix: string };
