import { mistake } from '../../config/values/parsed'
import { asMap } from '../../config/understood'
import type { AccessLogSettings } from '../../exchange/access-log-settings'
import { definePolicy } from '../define-policy'
import { accessLogField } from './schema'

/** How the requests of a route are logged. Default: as the entrypoint says. */
export const accessLog = definePolicy({
  name: 'accessLog',
  schema: accessLogField(
    'How the requests of this route are logged, instead of `entrypoint.accessLog`: `true`, `false`, or as there.',
  ).optional(),
  check(own, context) {
    const written = asMap(context.written)
    if (own === undefined || own.format !== 'combined' || written['fields'] === undefined) return []
    return [
      context.problemAtKey(['fields'], mistake('has no effect: the combined format has its own', 'json, semconv')),
    ]
  },
  create: settings => ({ accessLog: settings }),
  describe: settings => [{ about: 'log', text: `access log: ${accessLogText(settings)}`, subject: 'access log' }],
})

function accessLogText({ isOff, format, fields, sample }: AccessLogSettings): string {
  if (isOff) return 'no lines'
  const parts: string[] = [format]
  if (fields !== undefined) parts.push(fields.join(' '))
  if (sample < 1) parts.push(`${Number((sample * 100).toPrecision(6))} % of successes`)
  return parts.join(', ')
}
