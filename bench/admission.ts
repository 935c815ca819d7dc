import { Admission } from '../src/apiserver/admission.ts';
import { FlowControl } from '../src/apiserver/flow-control/flow-control.ts';
import { HandlerChain } from '../src/apiserver/handler-chain.ts';
import { startApiServer } from '../test/support/api-server.ts';
import { startHttpsPeer } from '../test/support/https-peer.ts';
import { rateOf } from './support/rate.ts';
import { printer } from './support/table.ts';

// Creates of ConfigMaps over HTTP/2 on an in-memory store: without webhooks and policies, behind one webhook, behind
// five policies; and the share of a create that the security chain takes when there are none: authentication and
// impersonation, authorization, admission.

const CLIENTS = 16;
const SECONDS = 4;
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1';
const apiVersion = 'admissionregistration.k8s.io/v1';
const RULE = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE'],
  resources: ['configmaps'],
};

/** Time in each part of the chain, in all, measured around it. */
const spent = { authentication: 0, authorization: 0, admission: 0 };
let arrived = 0;
for (const method of ['mutate', 'validate'] as const) {
  const original = Admission.prototype[method];
  Admission.prototype[method] = async function (request) {
    const began = performance.now();
    await original.call(this, request);
    spent.admission += performance.now() - began;
  };
}
const { handle, authorize } = HandlerChain.prototype;
HandlerChain.prototype.handle = function (req, res) {
  arrived = performance.now();
  return handle.call(this, req, res);
};
HandlerChain.prototype.authorize = async function (exchange) {
  const began = performance.now();
  await authorize.call(this, exchange);
  spent.authorization += performance.now() - began;
};
// The first stage behind authentication.
const { admit } = FlowControl.prototype;
FlowControl.prototype.admit = function (exchange) {
  spent.authentication += performance.now() - arrived;
  return admit.call(this, exchange);
};

const server = await startApiServer();
const peer = await startHttpsPeer(({ text }) => {
  const { uid } = JSON.parse(text).request;
  const response = { uid, allowed: true };
  return { body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response } };
});
const post = (path: string, body: object) => server.request('POST', path, { body });
const print = printer(['what', 'creates/s', 'p99 ms', 'errors', 'of no webhook']);
let bare = 0;
let run = 0;

async function measure(what: string): Promise<void> {
  run++;
  const creates = await rateOf(CLIENTS, SECONDS, async (client, n) => {
    const body = { metadata: { name: `r${run}-${client}-${n}` }, data: { k: 'v' } };
    return (await post('/api/v1/namespaces/default/configmaps', body)).status === 201;
  });
  bare ||= creates.perSecond;
  const ratio = (creates.perSecond / bare).toFixed(2);
  print([what, creates.perSecond.toFixed(0), creates.p99.toFixed(1), creates.errors, ratio]);
}

// One after the other, so that time in admission is time of the create.
const ALONE = 2000;
Object.assign(spent, { authentication: 0, authorization: 0, admission: 0 });
const began = performance.now();
for (let i = 0; i < ALONE; i++) {
  const body = { metadata: { name: `alone-${i}` }, data: { k: 'v' } };
  await post('/api/v1/namespaces/default/configmaps', body);
}
const whole = performance.now() - began;
const share = (ms: number) => (100 * ms) / whole;
const shares = { ...spent };
await measure('no webhook');
await post(`${REGISTRATION}/validatingwebhookconfigurations`, {
  apiVersion,
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'bench' },
  webhooks: [
    {
      name: 'bench.example.com',
      clientConfig: { url: `https://127.0.0.1:${peer.port}/`, caBundle: peer.caBundle },
      rules: [RULE],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ],
});
await measure('1 webhook');
await server.request('DELETE', `${REGISTRATION}/validatingwebhookconfigurations/bench`);
for (let i = 0; i < 5; i++) {
  await post(`${REGISTRATION}/validatingadmissionpolicies`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: `p${i}` },
    spec: {
      matchConstraints: { resourceRules: [RULE] },
      validations: [{ expression: "object.data.all(k, object.data[k] != 'forbidden')" }],
    },
  });
  await post(`${REGISTRATION}/validatingadmissionpolicybindings`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `b${i}` },
    spec: { policyName: `p${i}`, validationActions: ['Deny'] },
  });
}
await measure('5 policies');
const parts = Object.entries(shares).map(([name, ms]) => `${name} ${share(ms).toFixed(1)} %`);
const total = share(Object.values(shares).reduce((sum, ms) => sum + ms, 0));
console.log(
  `the security chain takes ${total.toFixed(1)} % of a create without webhooks (aim: at most 15 %): ${parts.join(', ')}`,
);
await peer.close();
await server.stop();
