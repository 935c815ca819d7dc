import { Metrics } from '../util/metrics.ts';

const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);
// Upstream's: a quarter of a second to ten minutes.
const PROGRAMMING_BUCKETS = [
  0.25,
  0.5,
  ...Array.from({ length: 60 }, (_, i) => i + 1),
  65,
  70,
  75,
  80,
  85,
  90,
  95,
  100,
  105,
  110,
  115,
  120,
  150,
  180,
  210,
  240,
  270,
  300,
];

export type ProxyMetrics = ReturnType<typeof proxyMetrics>;

/** kube-proxy's metrics under their upstream names. */
export function proxyMetrics(metrics: Metrics = new Metrics()) {
  const family = ['ip_family'] as const;
  return {
    registry: metrics,
    syncDuration: metrics.histogram(
      'kubeproxy_sync_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds',
      { labelNames: family, buckets: SYNC_BUCKETS },
    ),
    syncFullDuration: metrics.histogram(
      'kubeproxy_sync_full_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for full resyncs',
      { labelNames: family, buckets: SYNC_BUCKETS },
    ),
    syncPartialDuration: metrics.histogram(
      'kubeproxy_sync_partial_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for partial resyncs',
      { labelNames: family, buckets: SYNC_BUCKETS },
    ),
    networkProgramming: metrics.histogram(
      'kubeproxy_network_programming_duration_seconds',
      'In Cluster Network Programming Latency in seconds',
      { labelNames: family, buckets: PROGRAMMING_BUCKETS },
    ),
    lastSync: metrics.gauge(
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'The last time proxy rules were successfully synced',
      family,
    ),
    lastQueued: metrics.gauge(
      'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
      'The last time a sync of proxy rules was queued',
      family,
    ),
    serviceChanges: metrics.counter(
      'kubeproxy_sync_proxy_rules_service_changes_total',
      'Cumulative proxy rules Service changes',
      family,
    ),
    endpointChanges: metrics.counter(
      'kubeproxy_sync_proxy_rules_endpoint_changes_total',
      'Cumulative proxy rules Endpoint changes',
      family,
    ),
    restoreFailures: metrics.counter(
      'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
      'Cumulative proxy iptables restore failures',
      family,
    ),
    noLocalEndpoints: metrics.gauge(
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
      'Number of services with a Local traffic policy and no endpoints',
      ['ip_family', 'traffic_policy'],
    ),
    healthz: metrics.counter(
      'kubeproxy_proxy_healthz_total',
      'Cumulative proxy healthz HTTP status',
      ['code'],
    ),
    livez: metrics.counter('kubeproxy_proxy_livez_total', 'Cumulative proxy livez HTTP status', [
      'code',
    ]),
  };
}
