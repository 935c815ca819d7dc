import { Metrics } from '../util/metrics.ts';

const BUCKETS = Array.from({ length: 16 }, (_, i) => 0.000_25 * 2 ** i);

export type DnsMetrics = ReturnType<typeof dnsMetrics>;

/** Under CoreDNS's names, so that its dashboards work. */
export function dnsMetrics(metrics: Metrics = new Metrics()) {
  return {
    registry: metrics,
    requests: metrics.counter('coredns_dns_requests_total', 'Counter of DNS requests made', [
      'proto',
      'type',
    ]),
    responses: metrics.counter('coredns_dns_responses_total', 'Counter of response status codes', [
      'rcode',
    ]),
    duration: metrics.histogram(
      'coredns_dns_request_duration_seconds',
      'Histogram of the time each request took',
      { buckets: BUCKETS },
    ),
    cacheHits: metrics.counter('coredns_cache_hits_total', 'The count of cache hits'),
    cacheMisses: metrics.counter('coredns_cache_misses_total', 'The count of cache misses'),
  };
}
