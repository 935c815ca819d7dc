import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

let server: TestApiServer;
let peer: HttpsPeer;

interface Review {
  readonly request: {
    readonly uid: string;
    readonly operation: string;
    readonly name: string;
    readonly subResource?: string;
    readonly dryRun: boolean;
    readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
    readonly requestKind: { readonly version: string };
    readonly userInfo: { readonly username: string };
    // biome-ignore lint/suspicious/noExplicitAny: whatever is written
    readonly object: any;
    // biome-ignore lint/suspicious/noExplicitAny: whatever was there
    readonly oldObject: any;
  };
}

/** What the webhook at each path answers. */
const answers = new Map<string, (review: Review) => object | Promise<object>>();
let asked: Review['request'][] = [];

beforeAll(async () => {
  server = await startApiServer();
  peer = await startHttpsPeer(async ({ path, text }) => {
    const review = JSON.parse(text) as Review;
    asked.push(review.request);
    const made = await answers.get(path.split('?')[0] ?? '')?.(review);
    const response = { uid: review.request.uid, allowed: true, ...made };
    return { body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response } };
  });
});
afterAll(async () => {
  await peer.close();
  await server.stop();
});

const REGISTRATION = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';

const patchOf = (...operations: object[]) => ({
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

const map = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { own: 'x' },
  ...more,
});

const RULE = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE', 'UPDATE', 'DELETE'],
  resources: ['configmaps'],
};

type Type = 'validatingwebhookconfigurations' | 'mutatingwebhookconfigurations';

function hook(path: string, more: object = {}) {
  return {
    name: `${path.slice(1)}.example.com`,
    clientConfig: { url: `https://127.0.0.1:${peer.port}${path}`, caBundle: peer.caBundle },
    rules: [RULE],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  };
}

/** Runs `work` while these webhooks are in place. */
async function during(type: Type, webhooks: object[], work: () => Promise<void>): Promise<void> {
  const kind = type.startsWith('v')
    ? 'ValidatingWebhookConfiguration'
    : 'MutatingWebhookConfiguration';
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: 'test' },
    webhooks,
  };
  const made = await server.request('POST', `${REGISTRATION}/${type}`, { body });
  if (made.status !== 201) throw new Error(made.text);
  asked = [];
  try {
    await work();
  } finally {
    await server.request('DELETE', `${REGISTRATION}/${type}/test`);
  }
}

const post = (body: object, query = '') => server.request('POST', MAPS + query, { body });

describe('validating webhooks', () => {
  it('are shown the write, and refuse in their own words', async () => {
    answers.set('/deny', ({ request }) => ({
      allowed: request.object?.data?.bad === undefined,
      status: { message: 'bad is bad', code: 403 },
      warnings: ['think again'],
    }));
    await during('validatingwebhookconfigurations', [hook('/deny')], async () => {
      expect((await post(map('fine'))).status).toBe(201);
      const refused = await post(map('wrong', { data: { bad: 'x' } }));
      expect(refused.status).toBe(403);
      expect(refused.body.message).toBe(
        'admission webhook "deny.example.com" denied the request: bad is bad',
      );
      expect(String(refused.headers.warning)).toContain('think again');
      const changed = await server.request('PATCH', `${MAPS}/fine`, { body: { data: { a: 'b' } } });
      expect(changed.status).toBe(200);
      expect((await server.request('DELETE', `${MAPS}/fine`)).status).toBe(200);
      const [first, , update, remove] = asked;
      expect(first).toMatchObject({
        operation: 'CREATE',
        name: 'fine',
        kind: { group: '', version: 'v1', kind: 'ConfigMap' },
        userInfo: { username: 'admin' },
        oldObject: null,
        dryRun: false,
      });
      expect(first?.object.metadata.uid).toBeTruthy();
      expect(update).toMatchObject({ operation: 'UPDATE', object: { data: { a: 'b', own: 'x' } } });
      expect(update?.oldObject.data).toEqual({ own: 'x' });
      expect(remove).toMatchObject({ operation: 'DELETE', object: null });
      expect(remove?.oldObject.metadata.name).toBe('fine');
    });
  });

  it('that do not answer refuse or let pass, as their failure policy says', async () => {
    answers.set('/slow', () => new Promise((done) => setTimeout(() => done({}), 3000)));
    const slow = (failurePolicy: string) => [hook('/slow', { timeoutSeconds: 1, failurePolicy })];
    await during('validatingwebhookconfigurations', slow('Fail'), async () => {
      const { status, body } = await post(map('slow'));
      expect(status).toBe(500);
      expect(body.message).toMatch(
        /failed calling webhook "slow.example.com": failed to call webhook: Post "https:\/\/127.0.0.1:\d+\/slow\?timeout=1s": context deadline exceeded$/,
      );
    });
    await during('validatingwebhookconfigurations', slow('Ignore'), async () => {
      expect((await post(map('slow'))).status).toBe(201);
    });
  });

  it('behind a Service are named by it in what is wrong with them', async () => {
    const service = { namespace: 'default', name: 'hook', path: '/x' };
    const clientConfig = { service, caBundle: peer.caBundle };
    await server.request('POST', '/api/v1/namespaces/default/services', {
      body: { metadata: { name: 'hook' }, spec: { ports: [{ port: 443 }] } },
    });
    const hooks = [hook('/x', { clientConfig, timeoutSeconds: 7 })];
    await during('validatingwebhookconfigurations', hooks, async () => {
      const { body } = await post(map('unserved'));
      expect(body.message).toContain(
        'failed to call webhook: Post "https://hook.default.svc:443/x?timeout=7s": no endpoints available for service "hook"',
      );
    });
  });

  it('with side effects are not asked in a dry run', async () => {
    answers.set('/effects', () => ({}));
    // v1 refuses such configurations; the server must still not trust what it is told.
    await during('validatingwebhookconfigurations', [hook('/effects')], async () => {
      expect((await post(map('dry'), '?dryRun=All')).status).toBe(201);
      expect(asked[0]?.dryRun).toBe(true);
    });
  });

  it('CVE-2020-8559: a redirect is no answer', async () => {
    const away = await startHttpsPeer(() => ({
      status: 302,
      headers: { location: `https://127.0.0.1:${peer.port}/deny` },
      body: '',
    }));
    const clientConfig = { url: `https://127.0.0.1:${away.port}/`, caBundle: away.caBundle };
    await during('validatingwebhookconfigurations', [hook('/away', { clientConfig })], async () => {
      const { status, body } = await post(map('redirected'));
      expect(status).toBe(500);
      expect(body.message).toContain('status 302');
      expect(asked).toHaveLength(0);
    });
    await away.close();
  });

  it('are left alone by what their selectors and conditions leave out', async () => {
    answers.set('/never', () => ({ allowed: false }));
    const refuses = async (more: object, body = map('selected')) => {
      let status = 0;
      await during('validatingwebhookconfigurations', [hook('/never', more)], async () => {
        ({ status } = await post(body, '?dryRun=All'));
      });
      return status !== 201;
    };
    expect(await refuses({})).toBe(true);
    expect(await refuses({ objectSelector: { matchLabels: { a: 'b' } } })).toBe(false);
    const labelled = map('selected', { metadata: { name: 'selected', labels: { a: 'b' } } });
    expect(await refuses({ objectSelector: { matchLabels: { a: 'b' } } }, labelled)).toBe(true);
    const elsewhere = { matchLabels: { 'kubernetes.io/metadata.name': 'elsewhere' } };
    expect(await refuses({ namespaceSelector: elsewhere })).toBe(false);
    const when = (expression: string) => ({ matchConditions: [{ name: 'c', expression }] });
    expect(await refuses(when("object.metadata.name != 'selected'"))).toBe(false);
    expect(await refuses(when("request.userInfo.username == 'admin'"))).toBe(true);
    expect(
      await refuses(when("authorizer.group('').resource('pods').check('get').allowed()")),
    ).toBe(true);
  });

  it('never judge the configurations of admission, so that nobody is locked out', async () => {
    answers.set('/all', () => ({ allowed: false }));
    const everything = {
      rules: [
        {
          apiGroups: ['*'],
          apiVersions: ['*'],
          operations: ['*'],
          resources: ['*'],
        },
      ],
    };
    await during('validatingwebhookconfigurations', [hook('/all', everything)], async () => {
      expect((await post(map('locked'))).status).toBe(400);
    });
    const gone = await server.request(
      'GET',
      `${REGISTRATION}/validatingwebhookconfigurations/test`,
    );
    expect(gone.status).toBe(404);
  });

  it('see another version than the one that was written, when that is theirs', async () => {
    answers.set('/scaler', () => ({}));
    const rules = [
      {
        apiGroups: ['autoscaling'],
        apiVersions: ['v1'],
        operations: ['CREATE'],
        resources: ['horizontalpodautoscalers'],
      },
    ];
    await during('validatingwebhookconfigurations', [hook('/scaler', { rules })], async () => {
      const { status } = await server.request(
        'POST',
        '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers',
        {
          body: {
            apiVersion: 'autoscaling/v2',
            kind: 'HorizontalPodAutoscaler',
            metadata: { name: 'h' },
            spec: {
              maxReplicas: 3,
              scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
            },
          },
        },
      );
      expect(status).toBe(201);
      expect(asked[0]).toMatchObject({ kind: { version: 'v1' }, requestKind: { version: 'v2' } });
      expect(asked[0]?.object.apiVersion).toBe('autoscaling/v1');
    });
  });

  it('judge connections to Pods', async () => {
    answers.set('/attach', () => ({ allowed: false, status: { message: 'no attaching' } }));
    const rules = [
      {
        apiGroups: [''],
        apiVersions: ['v1'],
        operations: ['CONNECT'],
        resources: ['pods/attach'],
      },
    ];
    await during('validatingwebhookconfigurations', [hook('/attach', { rules })], async () => {
      const path = '/api/v1/namespaces/default/pods/p/attach?container=c&stdin=true';
      const { body } = await server.request('POST', path);
      expect(body.message).toContain('no attaching');
      expect(asked[0]).toMatchObject({
        subResource: 'attach',
        kind: { version: 'v1', kind: 'PodAttachOptions' },
        object: { container: 'c', stdin: true },
      });
    });
  });
});

describe('mutating webhooks', () => {
  it('change what is written, which is then defaulted and pruned', async () => {
    answers.set('/mutate', () =>
      patchOf(
        { op: 'add', path: '/data/added', value: 'yes' },
        { op: 'add', path: '/unknown', value: 1 },
      ),
    );
    await during('mutatingwebhookconfigurations', [hook('/mutate')], async () => {
      const { body } = await post(map('mutated'));
      expect(body.data).toEqual({ own: 'x', added: 'yes' });
      expect(body.unknown).toBeUndefined();
    });
  });

  it('are asked in order, and again when somebody behind them changed something and they want it', async () => {
    answers.set('/one', ({ request }) =>
      request.object.data.two && !request.object.data.again
        ? patchOf({ op: 'add', path: '/data/again', value: 'yes' })
        : patchOf({ op: 'add', path: '/data/one', value: 'yes' }),
    );
    answers.set('/two', () => patchOf({ op: 'add', path: '/data/two', value: 'yes' }));
    const once = [hook('/one'), hook('/two')];
    await during('mutatingwebhookconfigurations', once, async () => {
      expect((await post(map('order'))).body.data).toEqual({ own: 'x', one: 'yes', two: 'yes' });
      expect(asked).toHaveLength(2);
    });
    const again = [hook('/one', { reinvocationPolicy: 'IfNeeded' }), hook('/two')];
    await during('mutatingwebhookconfigurations', again, async () => {
      const { body } = await post(map('again'));
      expect(body.data).toEqual({ own: 'x', one: 'yes', two: 'yes', again: 'yes' });
      expect(asked).toHaveLength(3);
    });
  });

  it('__proto__ in a patch changes nothing but the object', async () => {
    answers.set('/proto', () =>
      patchOf(
        { op: 'add', path: '/metadata/annotations', value: { __proto__x: 'y' } },
        {
          op: 'add',
          path: '/__proto__/polluted',
          value: 'yes',
        },
      ),
    );
    await during('mutatingwebhookconfigurations', [hook('/proto')], async () => {
      await post(map('proto'));
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    });
  });

  it('with conditions that do not compile are refused', async () => {
    const body = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'broken' },
      webhooks: [
        hook('/x', { matchConditions: [{ name: 'c', expression: '... [] bad expression' }] }),
      ],
    };
    const answer = await server.request('POST', `${REGISTRATION}/mutatingwebhookconfigurations`, {
      body,
    });
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain('compilation failed');
  });
});
