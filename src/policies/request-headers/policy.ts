import { parseRequestEditName } from '../../config/values/header'
import { toHeaderEdits } from '../../exchange/header-edits'
import { definePolicy } from '../define-policy'
import { checkHeaderEdits, describeEdits, headerEditsSchema } from '../header-edits'

/** Header fields of the request that are changed on its way to the upstream. */
export const requestHeaders = definePolicy({
  name: 'requestHeaders',
  schema: headerEditsSchema(
    parseRequestEditName,
    "the client's request",
    "Fields of the client's request that are not forwarded.",
  ).meta({
    description: 'Edits header fields before the request is forwarded.',
  }),
  needsUpstream: true,
  check: checkHeaderEdits,
  create: config => ({ requestEdits: toHeaderEdits(config) }),
  describe: config => describeEdits('request', config),
})
