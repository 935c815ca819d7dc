import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

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
