import { z } from 'zod'
import { field } from '../../config/values/field'
import { choice, parseFlag } from '../../config/values/choice'
import { parseSamplingRate } from '../../config/values/sampling-rate'
import { ACCESS_LOG_FIELDS, type AccessLogSettings } from '../../exchange/access-log-settings'

const FORMATS = ['json', 'semconv', 'combined'] as const

export function accessLogField(description: string): z.ZodType<AccessLogSettings> {
  const settings = z
    .strictObject({
      format: field(choice(FORMATS, { otel: 'semconv', clf: 'combined', common: 'combined', apache: 'combined' }), {
        description:
          'Form of a line: JSON with short names (`json`), JSON with the names of the semantic conventions (`semconv`), or the combined format of web servers (`combined`).',
        type: 'string',
        enum: FORMATS,
      }).prefault('json'),
      fields: z
        .array(
          field(choice(ACCESS_LOG_FIELDS), {
            description: 'Name of a field; `default` stands for those of the standard line.',
            type: 'string',
            enum: ACCESS_LOG_FIELDS,
          }),
        )
        .min(1)
        .optional()
        .meta({
          description:
            'Fields of a JSON line, besides level, time and trace ([list](telemetry.md#fields-of-the-access-log)). Left out: those of the standard line.',
          value: 'list of fields',
        }),
      sample: field(parseSamplingRate, {
        description:
          'Part of the successful requests (outcome `ok`) that have a line; the line then has `sample`. Faults, refusals and requests whose client left always have one.',
        value: '0 to 1',
        type: 'number',
        minimum: 0,
        maximum: 1,
      }).prefault(1),
    })
    .transform((written): AccessLogSettings => ({ isOff: false, ...written, fields: written.fields }))
    .meta({ description: 'How requests are logged.' })
  // The map first: for a map with a mistake, its own problem is reported.
  return z
    .union([
      settings,
      field(parseFlag, { description: '`true`: the standard line. `false`: no lines.', type: 'boolean' }).transform(
        isOn => ({ ...STANDARD, isOff: !isOn }),
      ),
    ])
    .meta({ description, value: '`true`, `false`, or map' })
}

const STANDARD: AccessLogSettings = { isOff: false, format: 'json', fields: undefined, sample: 1 }
