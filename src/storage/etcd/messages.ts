/** etcd's messages as the protocol library reads and writes them. */
export interface EtcdKeyValue {
  key: Buffer;
  value: Buffer;
  modRevision: number;
  /** 0: it does not vanish. */
  lease: number;
}

export interface Header {
  revision: number;
  /** Of the last entry that the member has applied. */
  raftTerm: number;
}

export interface RangeResponse {
  header: Header;
  kvs: EtcdKeyValue[];
  more: boolean;
  count: number;
}

export interface TxnResponse {
  header: Header;
  succeeded: boolean;
  responses: { responseRange?: RangeResponse }[];
}

export interface WatchRequest {
  createRequest: {
    key: Buffer;
    rangeEnd: Buffer;
    startRevision: number;
    progressNotify: boolean;
  };
}

export interface WatchResponse {
  header: Header;
  created: boolean;
  canceled: boolean;
  compactRevision: number;
  cancelReason: string;
  events: { type: 'PUT' | 'DELETE'; kv: EtcdKeyValue }[];
}

export interface StatusResponse {
  header: Header;
  version: string;
  dbSize: number;
  dbSizeInUse: number;
}
