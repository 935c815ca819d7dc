import { type DecodedText, yamlError } from '../api/encoding.ts';
import { inTextOrder } from '../api/json-scan.ts';

/** What field validation finds: each of its own for warnings, and together for an error. */
export interface FieldProblems {
  readonly warnings: readonly string[];
  readonly error: string;
}

interface Found {
  /** `unknown field "spec.a"`, of the body or of what a patch made. */
  readonly unknown: readonly string[];
  /** What the patch itself says wrongly. Absent: the body is no patch. */
  readonly patch?: readonly string[] | undefined;
  readonly isCustom: boolean;
}

/** The messages in upstream's order, which depends on what it decoded the object from. Undefined: nothing is wrong. */
export function fieldProblems(
  { duplicates, text, isYaml }: Pick<DecodedText, 'duplicates' | 'text' | 'isYaml'>,
  { unknown, patch, isCustom }: Found,
): FieldProblems | undefined {
  const sorted = () => (isCustom ? unknown : unknown.toSorted(byPath));
  if (patch) return problems([...patch, ...sorted()]);
  if (isYaml) {
    const error = duplicates.length > 0 ? [yamlError(duplicates)] : [];
    return problems([...duplicates, ...sorted()], [...error, ...sorted()]);
  }
  if (isCustom || text === undefined) return problems([...duplicates, ...unknown]);
  return problems(inTextOrder(text, unknown));
}

function problems(warnings: string[], errors = warnings): FieldProblems | undefined {
  if (warnings.length === 0) return undefined;
  return { warnings, error: `strict decoding error: ${errors.join(', ')}` };
}

/** As in an object whose keys are sorted, member by member. */
function byPath(a: string, b: string): number {
  const [left, right] = [a.split(/[.[]/), b.split(/[.[]/)];
  const at = left.findIndex((part, i) => part !== right[i]);
  const [one = '', other = ''] = [left[at], right[at]];
  if (/^\d+\]/.test(one) && /^\d+\]/.test(other))
    return Number.parseInt(one, 10) - Number.parseInt(other, 10);
  return one < other ? -1 : 1;
}
