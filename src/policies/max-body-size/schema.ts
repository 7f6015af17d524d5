import type { z } from 'zod'
import { field } from '../../config/values/field'
import { size, SIZE_PATTERN } from '../../config/values/size'

export function maxBodySizeField(description: string): z.ZodType<number> {
  return field(size({ atLeast: '0B', atMost: '1024GiB' }), {
    description,
    value: '`0B` to `1024GiB`',
    type: 'string',
    pattern: SIZE_PATTERN,
  })
}
