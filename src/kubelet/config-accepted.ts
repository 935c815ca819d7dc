import { isObject, type JsonObject } from '../util/json.ts';

type Accepts = (value: unknown) => boolean;

const oneOf =
  (...values: unknown[]): Accepts =>
  (value) =>
    values.some((one) => JSON.stringify(one) === JSON.stringify(value));
const always: Accepts = () => true;
const never: Accepts = () => false;
const emptyMap: Accepts = (value) => isObject(value) && Object.keys(value).length === 0;

/**
 * Fields of upstream that this kubelet has nothing to do for: each with the values that say what it does anyway. Every other
 * value would promise something, and is refused.
 */
const FIELDS: Readonly<Record<string, Accepts>> = {
  apiVersion: always,
  kind: always,
  cgroupsPerQOS: oneOf(true),
  enforceNodeAllocatable: oneOf(['pods'], ['none'], []),
  cpuManagerPolicy: oneOf('none', ''),
  cpuManagerReconcilePeriod: oneOf('0s', '10s'),
  memoryManagerPolicy: oneOf('None', ''),
  topologyManagerPolicy: oneOf('none', ''),
  topologyManagerScope: oneOf('container', ''),
  featureGates: emptyMap,
  crashLoopBackOff: emptyMap,
  // What the kubelet looks at, it looks at all the time: containers and volumes are never longer without a look.
  syncFrequency: oneOf('0s', '1m', '1m0s', '60s'),
  // Of static Pods from a URL, which are not supported.
  httpCheckFrequency: always,
  staticPodURL: oneOf(''),
  volumeStatsAggPeriod: oneOf('0s', '1m', '1m0s'),
  // Of a network that the kubelet makes itself, which no kubelet does any more.
  hairpinMode: oneOf('promiscuous-bridge', 'hairpin-veth', 'none', ''),
  logging: (value) => isObject(value) && oneOf(undefined, '', 'json')(value.format),
  readOnlyPort: oneOf(0),
  enableControllerAttachDetach: oneOf(true),
  localStorageCapacityIsolation: oneOf(true),
  configMapAndSecretChangeDetectionStrategy: oneOf('Watch'),
  imageServiceEndpoint: oneOf(''),
  providerID: oneOf(''),
  podsPerCore: oneOf(0),
  protectKernelDefaults: oneOf(false),
  makeIPTablesUtilChains: oneOf(false),
  reservedSystemCPUs: oneOf(''),
  systemReservedCgroup: oneOf(''),
  kubeReservedCgroup: oneOf(''),
  systemCgroups: oneOf(''),
  kubeletCgroups: oneOf(''),
  cpuManagerPolicyOptions: emptyMap,
  topologyManagerPolicyOptions: emptyMap,
  cpuCFSQuota: oneOf(true),
  cpuCFSQuotaPeriod: oneOf('0s', '100ms'),
  qosReserved: emptyMap,
  tracing: never,
  shutdownGracePeriodByPodPriority: oneOf([]),
  userNamespaces: never,
  tlsCipherSuites: oneOf([]),
  tlsMinVersion: oneOf('VersionTLS12', ''),
  enableSystemLogQuery: oneOf(false),
  showHiddenMetricsForVersion: oneOf(''),
};

/** Whether upstream has the field although nothing here is done for it. */
export const isAcceptedField = (field: string): boolean => Object.hasOwn(FIELDS, field);

/** The first field with a value that would promise what this kubelet does not do. */
export function unsupportedField(document: JsonObject): string | undefined {
  return Object.entries(document).find(
    ([field, value]) => value !== null && FIELDS[field]?.(value) === false,
  )?.[0];
}
