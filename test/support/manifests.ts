/** Images that every test cluster has. */
export const WEB_IMAGE = 'localhost/k8ts/web:1';
export const BUSYBOX_IMAGE = 'localhost/k8ts/busybox:1';

type Fields = Record<string, unknown>;

/** A Pod with one container of busybox that runs a shell line. */
export function shellPod(name: string, script: string, container: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'main', image: BUSYBOX_IMAGE, command: ['sh', '-c', script], ...container },
      ],
    },
  };
}

/** A Pod that answers HTTP on port 8080 with its name. */
export function webPod(name: string, container: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'web', image: WEB_IMAGE, ports: [{ containerPort: 8080 }], ...container },
      ],
    },
  };
}

/** A Deployment of such Pods, labelled `app: NAME`. */
export function webDeployment(name: string, replicas: number, container: Fields = {}): Fields {
  const { metadata, spec } = webPod(name, {
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
    ...container,
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: (metadata as Fields).labels }, spec },
    },
  };
}

/** A Service for what is labelled `app: NAME`, from port 80 to 8080. */
export function service(name: string, spec: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
}

/** Several objects as documents of one manifest. */
export function list(...items: Fields[]): string {
  return items.map((item) => JSON.stringify(item)).join('\n---\n');
}
