import { LIMIT_RANGES } from '../../../api/resource-types.ts';
import type { LimitRange } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';
import { validateLimitRange } from './quota-validation.ts';

export const limitRangeKind = defineKind<LimitRange>({
  type: LIMIT_RANGES,
  shortNames: ['limits'],
  strategy: {
    validate: validateLimitRange,
    validateUpdate: validateLimitRange,
    default({ spec }) {
      for (const item of spec?.limits ?? []) {
        if (item.type !== 'Container') continue;
        // What is not said follows from what is: max, then default, then (failing that) min.
        const defaults = { ...item.max, ...item.default };
        const requests = { ...item.min, ...defaults, ...item.defaultRequest };
        if (Object.keys(defaults).length > 0) item.default = defaults;
        if (Object.keys(requests).length > 0) item.defaultRequest = requests;
      }
    },
  },
});
