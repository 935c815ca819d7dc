import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiProcess } from '../support/api-process.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { startEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const PATH = '/api/v1/namespaces/default/configmaps';

async function series(name: string): Promise<string[]> {
  const { text } = await server.request('GET', '/metrics');
  return text.split('\n').filter((line) => line.startsWith(`${name}{`));
}

describe('/metrics', () => {
  it("counts requests under upstream's names, verbs and labels", async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } };
    await server.request('POST', `${PATH}?dryRun=All`, { body });
    await server.request('PATCH', `${PATH}/a?fieldManager=t`, {
      ...{ body, type: 'application/apply-patch+yaml' },
    });
    await server.request('GET', PATH);
    const found = (await series('apiserver_request_total')).filter((line) =>
      line.includes('resource="configmaps"'),
    );
    const place = 'group="",version="v1",resource="configmaps",subresource=""';
    const text = found.join('\n');
    expect(text).toContain(
      `{verb="POST",${place},scope="namespace",component="apiserver",dry_run="All",code="201"} 1`,
    );
    expect(text).toContain(`{verb="APPLY",${place},scope="resource",`);
    expect(text).toContain(`{verb="LIST",${place},scope="namespace",`);
  });

  it('keeps no label that a client made up', async () => {
    const before = (await series('apiserver_request_total')).length;
    for (let i = 0; i < 20; i++) {
      await server.request('GET', `/apis/group-${i}/v1/things`);
      await server.request('GET', `${PATH}/a/sub-${i}`);
      await server.request(`VERB${i}`, PATH);
    }
    expect((await series('apiserver_request_total')).length - before).toBeLessThan(6);
  });

  it('/metrics/slis tells what was found of the health, check by check', async () => {
    await server.request('GET', '/readyz');
    const { text } = await server.request('GET', '/metrics/slis');
    expect(text).toContain('kubernetes_healthcheck{name="etcd",type="readyz"} 1');
    expect(text).toMatch(
      /kubernetes_healthchecks_total\{name="etcd",status="success",type="readyz"\} \d/,
    );
  });

  it('tells what is going on at the moment', async () => {
    const watch = server.watch(`${PATH}?watch=1`);
    await watch.status();
    const open = (await series('apiserver_longrunning_requests')).filter((line) =>
      line.startsWith('apiserver_longrunning_requests{verb="WATCH",group="",version="v1"'),
    );
    expect(open[0]).toMatch(/ 1$/);
    watch.close();
    const inFlight = await series('apiserver_current_inflight_requests');
    expect(inFlight).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 1');
  });
});

describe("/metrics of a server's store", () => {
  it.each(['lmdb', 'etcd'])(
    'tell size, revision and compaction of %s',
    {
      timeout: 300_000,
    },
    async (engine) => {
      const etcd = engine === 'etcd' ? await startEtcd() : undefined;
      const own = await startApiProcess({
        storage: (directory) => [
          ...(etcd
            ? ['--etcd-servers', etcd.endpoints.join(',')]
            : ['--data-dir', join(directory, 'data')]),
          ...['--etcd-compaction-interval', '1s'],
        ],
      });
      const scrape = async (): Promise<string> => (await own.send('GET', '/metrics')).text;
      const value = (text: string, name: string): number =>
        Number(
          new RegExp(`^${name}\\{storage_cluster_id="etcd-0"\\} (\\d+)$`, 'm').exec(text)?.[1],
        );
      const read = async (name: string): Promise<number> => value(await scrape(), name);
      try {
        const write = async (): Promise<number> => {
          const { text, status } = await own.send('POST', PATH, {
            metadata: { generateName: 'a-' },
            data: { text: 'x'.repeat(100_000) },
          });
          expect(status, text).toBe(201);
          return Number(JSON.parse(text).metadata.resourceVersion);
        };
        const first = await write();
        expect(await read('apiserver_storage_revision')).toBeGreaterThanOrEqual(first);
        const size = await read('apiserver_storage_size_bytes');
        const inUse = await read('apiserver_storage_size_in_use_bytes');
        expect(size).toBeGreaterThan(100_000);
        expect(inUse).toBeGreaterThan(100_000);
        for (let i = 0; i < 20; i++) await write();
        // 2 MB more, less what a compaction gives back; etcd counts what it has written out.
        await eventually('what is in use grows', async () => {
          const now = await read('apiserver_storage_size_in_use_bytes');
          return now > inUse + 1_500_000;
        });
        expect(await read('apiserver_storage_revision')).toBeGreaterThan(first + 19);
        // Compacted by itself: first the interval marks where it is, then it goes there.
        await eventually('the first write is compacted', async () => {
          expect(await read('apiserver_storage_compacted_revision')).toBeGreaterThan(first);
          return true;
        });
        const text = await scrape();
        expect(text).toContain('apiserver_storage_alarm{alarm="NOSPACE"} 0');
        expect(text).toMatch(/^apiserver_storage_objects\{resource="configmaps"\} \d+$/m);
      } finally {
        await own.stop();
        await etcd?.stop();
      }
    },
  );
});
