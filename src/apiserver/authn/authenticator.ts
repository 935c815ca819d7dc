import type { IncomingMessage } from 'node:http';
import type { UserInfo } from '../resource-kind.ts';

/** One way to tell who asks. Undefined: this request has no credentials of its kind. Throws Unauthorized for bad ones. */
export interface Authenticator {
  readonly name: string;
  /** `audiences`: whom tokens must be for, when that is not this server. */
  authenticate(
    req: Pick<IncomingMessage, 'headers' | 'socket'>,
    audiences?: readonly string[],
  ): Promise<UserInfo | undefined> | UserInfo | undefined;
}
