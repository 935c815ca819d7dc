import type { Environment } from '@marcbachmann/cel-js';

/** Adds functions to an environment: `define('list.sum(): dyn', (list) => …)`. */
export type Define = (signature: string, handler: (...args: never[]) => unknown) => void;

export function definer(environment: Environment): Define {
  return (signature, handler) => {
    environment.registerFunction(signature, handler as (...args: unknown[]) => unknown);
  };
}

/**
 * Functions called as `NAME.function(…)`: a constant of a type of its own that has them as methods. Answers the name
 * of that type for their signatures.
 */
export function namespace(environment: Environment, name: string): string {
  const type = `kubernetes.namespace.${name}`;
  const Namespace = class {};
  environment.registerType(type, Namespace);
  environment.registerConstant(name, type, new Namespace());
  return type;
}
