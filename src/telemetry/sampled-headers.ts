/**
 * Header fields whose presence a gateway samples; their values never are. The gateway reports them in `/samples`, and the
 * incident service compares them.
 */
export const SAMPLED_HEADERS = [
  'accept-encoding',
  'accept-language',
  'authorization',
  'content-encoding',
  'cookie',
  'expect',
  'if-none-match',
  'origin',
  'range',
  'referer',
  'traceparent',
  'x-forwarded-for',
] as const
