import type { CelEnvironment } from '../../../cel/cel.ts';
import type { AdmissionRequest } from '../../admission.ts';
import type { Authorizer } from '../../authz/authorizer.ts';
import type { RequestInfo } from '../../request-info.ts';
import type { UserInfo } from '../../resource-kind.ts';

/** Upstream's CEL library that asks what somebody may do (apiserver cel/library authz.go). */
class CelAuthorizer {
  readonly authorizer: Authorizer;
  readonly user: UserInfo;
  readonly request: AdmissionRequest;

  constructor(authorizer: Authorizer, user: UserInfo, request: AdmissionRequest) {
    this.authorizer = authorizer;
    this.user = user;
    this.request = request;
  }
}

/** Something that one may ask leave for, named step by step. */
class Question {
  readonly of: CelAuthorizer;
  readonly info: RequestInfo;

  constructor(of: CelAuthorizer, info: RequestInfo) {
    this.of = of;
    this.info = info;
  }

  with(change: Partial<RequestInfo>): Question {
    return new Question(this.of, { ...this.info, ...change });
  }
}

class CelDecision {
  readonly allowed: boolean;
  readonly reason: string;
  readonly error: string;

  constructor(allowed: boolean, reason: string, error: string) {
    this.allowed = allowed;
    this.reason = reason;
    this.error = error;
  }
}

const BLANK: RequestInfo = {
  ...{ path: '', verb: '', isResource: true, group: '', version: '*', namespace: '' },
  ...{ resource: '', subresource: '', name: '', rest: '' },
};

export function authorizerOf(
  authorizer: Authorizer,
  user: UserInfo,
  request: AdmissionRequest,
): CelAuthorizer {
  return new CelAuthorizer(authorizer, user, request);
}

export function addAuthorizer(environment: CelEnvironment): void {
  const [who, what, answer] = ['kubernetes.Authorizer', 'kubernetes.Check', 'kubernetes.Decision'];
  environment.registerType(who, CelAuthorizer);
  environment.registerType(what, Question);
  environment.registerType(answer, CelDecision);
  environment.registerVariable('authorizer', who);
  const define = (signature: string, handler: (...args: never[]) => unknown) =>
    environment.registerFunction(signature, handler as (...args: unknown[]) => unknown);
  define(
    `${who}.path(string): ${what}`,
    (of: CelAuthorizer, path: string) => new Question(of, { ...BLANK, isResource: false, path }),
  );
  define(
    `${who}.group(string): ${what}`,
    (of: CelAuthorizer, group: string) => new Question(of, { ...BLANK, group }),
  );
  define(`${who}.serviceAccount(string, string): ${who}`, serviceAccount);
  define(`${who}.requestResource(): ${what}`, (of: CelAuthorizer) => {
    const { kind, subresource, namespace, name } = of.request;
    const { group, version, resource } = kind;
    return new Question(of, { ...BLANK, group, version, resource, subresource, namespace, name });
  });
  const steps = ['resource', 'subresource', 'namespace', 'name', 'fieldSelector', 'labelSelector'];
  for (const step of steps) {
    define(`${what}.${step}(string): ${what}`, (question: Question, value: string) =>
      question.with({ [step]: value }),
    );
  }
  define(`${what}.check(string): ${answer}`, check);
  define(`${answer}.allowed(): bool`, (decision: CelDecision) => decision.allowed);
  define(`${answer}.reason(): string`, (decision: CelDecision) => decision.reason);
  define(`${answer}.errored(): bool`, (decision: CelDecision) => decision.error !== '');
  define(`${answer}.error(): string`, (decision: CelDecision) => decision.error);
}

function serviceAccount(of: CelAuthorizer, namespace: string, name: string): CelAuthorizer {
  const user = {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: [
      'system:serviceaccounts',
      `system:serviceaccounts:${namespace}`,
      'system:authenticated',
    ],
  };
  return new CelAuthorizer(of.authorizer, user, of.request);
}

async function check({ of, info }: Question, verb: string): Promise<CelDecision> {
  try {
    const { decision, reason } = await of.authorizer.authorize(of.user, { ...info, verb });
    return new CelDecision(decision === 'allow', reason ?? '', '');
  } catch (err) {
    return new CelDecision(false, '', String(err));
  }
}
