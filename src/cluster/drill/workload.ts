import type { Deployment, Draft, PodSpec } from '../../api/types.ts';

const IMAGE = 'localhost/k8ts/web:1';
export const PORT = 8080;
const MOVES_AFTER_S = 1;

/** A web server that answers with its name. */
export function podSpec(): PodSpec {
  // Ready only once it listens: else the drill would count its own Pod's start as a failure.
  const readinessProbe = { httpGet: { path: '/', port: PORT }, periodSeconds: 1 };
  const container = { name: 'web', image: IMAGE, ports: [{ containerPort: PORT }], readinessProbe };
  return {
    terminationGracePeriodSeconds: 1,
    containers: [container],
    // A node that is lost loses its Pods at once, not after five minutes.
    tolerations: ['not-ready', 'unreachable'].map((taint) => ({
      key: `node.kubernetes.io/${taint}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: MOVES_AFTER_S,
    })),
  };
}

/** Web servers, as far apart as the nodes allow. */
export function deployment(namespace: string, name: string, replicas: number): Draft<Deployment> {
  const labels = { app: name };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { ...podSpec(), topologySpreadConstraints: [spread] },
      },
    },
  };
}
