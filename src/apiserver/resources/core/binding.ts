import { BINDINGS } from '../../../api/resource-types.ts';
import type { Binding } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';

/** The old way to bind a Pod; `pods/binding` is the new one. */
export const bindingKind = defineKind<Binding>({
  type: BINDINGS,
  verbs: ['create'],
  virtual: true,
});
