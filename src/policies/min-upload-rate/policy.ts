import { sizeText } from '../../config/values/size'
import { definePolicy } from '../define-policy'
import { DEFAULT_MIN_UPLOAD_RATE, minUploadRateField } from './schema'

/** Smallest rate of a request body in bytes per second; 0 for no bound. Default: the entrypoint's. */
export const minUploadRate = definePolicy({
  name: 'minUploadRate',
  schema: minUploadRateField(
    'Minimum bytes per second that a client must send of a request body, instead of `entrypoint.minUploadRate`. Use `0B` for routes that receive event streams, which may be slow by nature.',
  ).optional(),
  needsUpstream: true,
  resolve: (own, { entrypoint }) => own ?? entrypoint.minUploadRate,
  create: bytesPerSecond => ({ forwarding: { minUploadRate: bytesPerSecond } }),
  describe(bytesPerSecond) {
    const text = sizeText(bytesPerSecond)
    if (text === DEFAULT_MIN_UPLOAD_RATE) return []
    return [
      { about: 'size', text: bytesPerSecond === 0 ? 'uploads at any rate' : `uploads at ${text} a second or more` },
    ]
  },
})
