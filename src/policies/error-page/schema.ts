import { fileField } from '../../config/fields'
import type { z } from 'zod'

export function errorPageField(description: string): z.ZodType<string> {
  return fileField(description)
}
