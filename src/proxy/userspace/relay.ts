/** Takes the traffic of one service port on a port of this node, and passes it on to endpoints. */
export interface Relay {
  /** Begins; answers the port. Rejects when the address is not this node's. */
  listen(host: string): Promise<number>;
  /** The picker has other endpoints now. */
  endpointsChanged(): void;
  /** The service port is gone: takes nothing new. */
  close(): void;
}
