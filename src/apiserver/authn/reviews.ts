import type { IncomingMessage } from 'node:http';
import { badRequest } from '../../api/errors.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { ConnectHandler, ConnectHandlers } from '../handlers/connect.ts';
import { sendJson } from '../reading.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';

/** The questions of authentication.k8s.io: whose token is this, and who am I. */
export function authenticationReviews(tokens: Authenticator | undefined): ConnectHandlers {
  return {
    'authentication.k8s.io/selfsubjectreviews': review(async (_, { user }) => ({
      userInfo: shownUser(user),
    })),
    'authentication.k8s.io/tokenreviews': review(async (spec) => {
      const { token } = spec as { token?: string };
      if (!token) throw badRequest('token is required for TokenReview in authentication');
      return tokenStatus(tokens, token);
    }),
  };
}

function review(answer: (spec: object, exchange: Exchange) => Promise<object>): ConnectHandler {
  return async ({ schema }, exchange, { kind }) => {
    const rules = { schema, kind, fieldValidation: 'Warn' as const };
    const object = await readObject(exchange, rules);
    const status = await answer((object.spec ?? {}) as object, exchange);
    await sendJson(exchange, 201, Buffer.from(JSON.stringify({ ...object, status })), 'json');
  };
}

async function tokenStatus(tokens: Authenticator | undefined, token: string): Promise<object> {
  // Authenticators read requests: this one carries nothing but the token.
  const request = { headers: { authorization: `Bearer ${token}` } } as IncomingMessage;
  try {
    const user = await tokens?.authenticate(request);
    if (user) return { authenticated: true, user: shownUser(user) };
  } catch {
    // A bad token is an answer here, not a failure.
  }
  return { authenticated: false, user: {}, error: 'invalid bearer token' };
}

function shownUser({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}
