import { parseResponseEditName } from '../../config/values/header'
import { toHeaderEdits } from '../../exchange/header-edits'
import { definePolicy } from '../define-policy'
import { checkHeaderEdits, describeEdits, headerEditsSchema } from '../header-edits'

/** Header fields of the response that are changed on its way to the client. */
export const responseHeaders = definePolicy({
  name: 'responseHeaders',
  schema: headerEditsSchema(
    parseResponseEditName,
    "the upstream's response",
    "Fields of the upstream's response that are not passed on, as headers or as trailers.",
  ).meta({
    description: 'Edits header fields of responses. Local replies get the fields of `set` and `add` too.',
  }),
  check: checkHeaderEdits,
  create: config => ({ responseEdits: toHeaderEdits(config) }),
  describe: config => describeEdits('response', config),
})
