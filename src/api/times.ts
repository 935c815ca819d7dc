/** meta/v1 Time: RFC 3339 in whole seconds, UTC. */
export function timeString(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** meta/v1 MicroTime: RFC 3339 with exactly six decimals, UTC. */
export function microTimeString(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}
