import { ApiError } from '../api/errors.ts';
import { type MediaRange, parseAccept } from './served-document.ts';

/** What a client wants to read. */
export interface Representation {
  readonly format: 'json' | 'yaml';
  /** Another shape than the object itself. */
  readonly as?: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList' | undefined;
  /** The version of meta.k8s.io that `as` is in. */
  readonly metaVersion?: 'v1' | 'v1beta1' | undefined;
}

const JSON_PLAIN: Representation = { format: 'json' };
const FORMATS: Readonly<Record<string, 'json' | 'yaml'>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'text/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
};
const SHAPES = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

/** 406, with what would have been acceptable. */
export function notAcceptable(types: readonly string[]): ApiError {
  const message = `only the following media types are accepted: ${types.join(', ')}`;
  return new ApiError('NotAcceptable', message);
}

/** The first acceptable clause of an Accept header, in the client's order of preference. */
export function negotiate(accept: string | undefined): Representation {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') {
    return JSON_PLAIN;
  }
  for (const range of parseAccept(accept)) {
    const found = acceptable(range);
    if (found) return found;
  }
  throw notAcceptable(['application/json', 'application/yaml']);
}

/** As `negotiate`, for answers that have no other shape than their own. */
export function negotiateObject(accept: string | undefined): Representation {
  for (const range of parseAccept(accept)) {
    const found = acceptable(range);
    if (found && found.as === undefined) return found;
  }
  throw notAcceptable(['application/json', 'application/yaml']);
}

function acceptable({ type, parameters }: MediaRange): Representation | undefined {
  const format = FORMATS[type];
  if (!format) return undefined;
  const { as, g, v } = parameters;
  if (as === undefined) return format === 'json' ? JSON_PLAIN : { format };
  if (!SHAPES.has(as) || g !== 'meta.k8s.io') return undefined;
  if (v !== 'v1' && v !== 'v1beta1') return undefined;
  return { format, as: as as Representation['as'], metaVersion: v };
}

export const MEDIA_TYPES = { json: 'application/json', yaml: 'application/yaml' } as const;
