import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { service, shellPod, webPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'probes');
// A busy machine may take its time to start a program: only what it answers counts.
const exec = (...command: string[]) => ({
  exec: { command },
  periodSeconds: 1,
  timeoutSeconds: 30,
});

describe('a liveness probe', () => {
  it('that fails restarts the container with back-off, is counted, and is told in events', async () => {
    const livenessProbe = { ...exec('test', '-f', '/tmp/alive'), failureThreshold: 2 };
    await ns.apply(
      shellPod('dying', 'touch /tmp/alive; sleep 2; rm /tmp/alive; sleep 3600', { livenessProbe }),
    );
    await eventually('a restart', async () => {
      const { status } = await ns.get('pod', 'dying');
      return status.containerStatuses?.[0].restartCount >= 1;
    });
    await eventually('the events', async () => {
      const told = await ns.kubectl('describe', 'pod', 'dying');
      return (
        /Warning +Unhealthy .*Liveness probe failed/.test(told) &&
        /Normal +Killing .*Container main failed liveness probe, will be restarted/.test(told)
      );
    });
    expect(await ns.kubectl('get', 'pod', 'dying')).toMatch(/dying +[01]\/1 +\w+ +[1-9]\d*/);
    await eventually('the back-off', async () =>
      (await ns.kubectl('describe', 'pod', 'dying')).includes('BackOff'),
    );
    await ns.kubectl('delete', 'pod', 'dying', '--now');
  });

  it.each([
    ['httpGet', { httpGet: { path: '/', port: 8080 } }],
    ['tcpSocket', { tcpSocket: { port: 8080 } }],
    ['exec', { exec: { command: ['true'] } }],
  ])('of kind %s that succeeds leaves the container alone', async (kind, handler) => {
    const name = `living-${kind.toLowerCase()}`;
    const livenessProbe = {
      ...handler,
      periodSeconds: 1,
      timeoutSeconds: 30,
      failureThreshold: 60, // It may be asked before the server listens.
    };
    await ns.apply(
      webPod(name, { livenessProbe, readinessProbe: { ...handler, periodSeconds: 1 } }),
    );
    await ns.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
    const { status } = await ns.get('pod', name);
    expect(status.containerStatuses[0].restartCount).toBe(0);
  });
});

describe('a readiness probe', () => {
  it('that fails takes the Pod out of its Service within two periods, and back in when it recovers', async () => {
    const readinessProbe = {
      ...exec('test', '!', '-f', '/tmp/busy'),
      periodSeconds: 2,
      failureThreshold: 1,
    };
    await ns.apply(webPod('moody', { readinessProbe }));
    await ns.apply(service('moody'));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/moody', '--timeout=120s');
    const ready = async () => {
      const { items } = await ns.get('endpointslices', '-l', 'kubernetes.io/service-name=moody');
      return items[0]?.endpoints?.[0]?.conditions.ready as boolean | undefined;
    };
    const { clusterIP } = (await ns.get('service', 'moody')).spec;
    const answers = () => cluster.fetch(`http://${clusterIP}/`, 2);
    /** From the failure to the last look that found it ready. */
    const leaves = async (): Promise<number> => {
      await eventually('the endpoint is ready', ready);
      await ns.kubectl('exec', 'moody', '--', 'touch', '/tmp/busy');
      const [begin, looks] = [Date.now(), [] as number[]];
      await eventually('the endpoint is not ready', async () => {
        looks.push(Date.now());
        return (await ready()) === false;
      });
      return (looks.at(-2) ?? begin) - begin;
    };
    // Two periods of 2 s, and a look. A machine may be busy with other things for a while, but not twice.
    let took = await leaves();
    if (took >= 6000) {
      await ns.kubectl('exec', 'moody', '--', 'rm', '/tmp/busy');
      took = await leaves();
    }
    expect(took).toBeLessThan(6000);
    await eventually('nobody answers', () =>
      answers().then(
        () => false,
        () => true,
      ),
    );
    const { status } = await ns.get('pod', 'moody');
    expect(status.containerStatuses[0]).toMatchObject({ restartCount: 0, ready: false });
    await ns.kubectl('exec', 'moody', '--', 'rm', '/tmp/busy');
    await eventually('the Service answers again', answers);
  });
});

describe('a startup probe', () => {
  it('holds the others back until it has succeeded', async () => {
    await ns.apply(
      shellPod(
        'slow',
        'until test -f /tmp/go; do sleep 0.1; done; touch /tmp/started; sleep 3600',
        {
          startupProbe: { ...exec('test', '-f', '/tmp/started'), failureThreshold: 300 },
          // Would kill the container at once if it were asked before.
          livenessProbe: { ...exec('test', '-f', '/tmp/started'), failureThreshold: 1 },
        },
      ),
    );
    await eventually('it runs, and has not started', async () => {
      const { status } = await ns.get('pod', 'slow');
      return (
        status.containerStatuses?.[0].state.running && status.containerStatuses[0].started === false
      );
    });
    await ns.kubectl('exec', 'slow', '--', 'touch', '/tmp/go');
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/slow', '--timeout=120s');
    const { status } = await ns.get('pod', 'slow');
    expect(status.containerStatuses[0]).toMatchObject({ started: true, restartCount: 0 });
    await ns.kubectl('delete', 'pod', 'slow', '--now');
  });
});
