import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';

export interface Decision {
  readonly decision: 'allow' | 'deny' | 'no-opinion';
  /** Why, for the answer's message. */
  readonly reason?: string;
}

/** One opinion on whether a user may do something. The first that is not `no-opinion` counts. */
export interface Authorizer {
  readonly name: string;
  authorize(user: UserInfo, info: RequestInfo): Promise<Decision> | Decision;
}
