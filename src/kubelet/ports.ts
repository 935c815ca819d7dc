import type { Container } from '../api/types.ts';

/** A port given by number or by the name of one of the container's ports. */
export function portNumber(port: number | string, container: Container): number {
  const number = Number(port);
  if (Number.isInteger(number) && number > 0) return number;
  const named = container.ports?.find((p) => p.name === port);
  if (named) return named.containerPort;
  throw new Error(`couldn't find port: "${port}" in pod container ${container.name}`);
}
