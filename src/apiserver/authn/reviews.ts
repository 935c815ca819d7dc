import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from '../../api/errors.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { ConnectHandler, ConnectHandlers } from '../handlers/connect.ts';
import { sendJson } from '../reading.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authentication } from './authentication.ts';
import type { Authenticator } from './authenticator.ts';

/** The questions of authentication.k8s.io: whose token is this, and who am I. */
export function authenticationReviews({ bearers, tokens }: Authentication): ConnectHandlers {
  const own = tokens?.audiences ?? [];
  return {
    'authentication.k8s.io/selfsubjectreviews': review(async (_, { user }) => ({
      userInfo: shownUser(user),
    })),
    'authentication.k8s.io/tokenreviews': review(async (spec) => {
      const { token, audiences } = spec as { token?: string; audiences?: string[] };
      if (!token) throw badRequest('token is required for TokenReview in authentication');
      return tokenStatus(bearers, token, audiences?.length ? audiences : own);
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

async function tokenStatus(
  bearers: readonly Authenticator[],
  token: string,
  audiences: readonly string[],
): Promise<object> {
  // Authenticators read requests: this one carries nothing but the token.
  const request = { headers: { authorization: `Bearer ${token}` } } as IncomingMessage;
  for (const bearer of bearers) {
    try {
      const user = await bearer.authenticate(request, audiences);
      if (!user) continue;
      const meant = audiencesOf(token);
      const shared = meant ? audiences.filter((audience) => meant.includes(audience)) : audiences;
      return {
        authenticated: true,
        user: shownUser(user),
        ...(shared.length > 0 ? { audiences: shared } : {}),
      };
    } catch (err) {
      // A bad token is an answer here, not a failure.
      if (!(err instanceof ApiError) || err.reason !== 'Unauthorized') throw err;
    }
  }
  return { authenticated: false, user: {}, error: 'invalid bearer token' };
}

/** Whom a JSON Web Token says that it is for. The token has been verified. */
function audiencesOf(token: string): string[] | undefined {
  try {
    const { aud } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return aud === undefined ? undefined : [aud].flat().map(String);
  } catch {
    return undefined;
  }
}

function shownUser({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}
