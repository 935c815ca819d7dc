import { EtcdConnection, type EtcdOptions } from './etcd/connection.ts';
import { translate } from './etcd/errors.ts';

/** A member of an etcd cluster. */
export interface EtcdMember {
  /** A 64-bit number. */
  readonly id: string;
  /** Empty until it has been started. */
  readonly name: string;
  /** Where other members reach it. */
  readonly peerUrls: readonly string[];
  /** Where clients reach it; none until it has been started. */
  readonly clientUrls: readonly string[];
  /** It gets all data, but has no vote yet. */
  readonly isLearner: boolean;
}

interface RawMember {
  ID: string;
  name: string;
  peerURLs: string[];
  clientURLs: string[];
  isLearner: boolean;
}

/** Who belongs to an etcd cluster, and how it grows and shrinks while it runs. */
export class EtcdMembers {
  readonly #connection: EtcdConnection;

  /** `endpoints`: of members with a vote. */
  constructor(options: EtcdOptions) {
    this.#connection = new EtcdConnection(options, String);
  }

  async list(): Promise<EtcdMember[]> {
    const { members } = await this.#call<{ members: RawMember[] }>('MemberList', {});
    return members.map(member);
  }

  /** Without a vote at first, a new member that is slow to start takes no majority away. */
  async addLearner(peerUrl: string): Promise<EtcdMember> {
    const request = { peerURLs: [peerUrl], isLearner: true };
    return member((await this.#call<{ member: RawMember }>('MemberAdd', request)).member);
  }

  /** Gives a learner a vote. Throws while it has not caught up. */
  async promote(id: string): Promise<void> {
    await this.#call('MemberPromote', { ID: id });
  }

  async remove(id: string): Promise<void> {
    await this.#call('MemberRemove', { ID: id });
  }

  close(): void {
    this.#connection.close();
  }

  async #call<Response>(method: string, request: object): Promise<Response> {
    try {
      return await this.#connection.callAgain<Response>(`Cluster.${method}`, request);
    } catch (err) {
      throw translate(err);
    }
  }
}

function member({ ID, name, peerURLs, clientURLs, isLearner }: RawMember): EtcdMember {
  return { id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}
