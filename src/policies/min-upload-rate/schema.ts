import type { z } from 'zod'
import { field } from '../../config/values/field'
import { size, SIZE_PATTERN } from '../../config/values/size'

export function minUploadRateField(description: string): z.ZodType<number> {
  return field(size({ atLeast: '0B', atMost: '1MiB' }), {
    description,
    value: '`0B` to `1MiB`',
    type: 'string',
    pattern: SIZE_PATTERN,
  })
}

/** Default rate, slow enough for any modem. */
export const DEFAULT_MIN_UPLOAD_RATE = '100B'
