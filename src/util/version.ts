/** The Kubernetes release whose API and behaviour this is. */
export const KUBERNETES_VERSION = 'v1.36.2';
/** What every component says it is. */
export const GIT_VERSION = `${KUBERNETES_VERSION}+k8ts`;
