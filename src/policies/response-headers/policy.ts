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
    'Fields of the upstream that the client does not get, neither as headers nor as trailers.',
  ).meta({
    description:
      "What is changed of the response's header section. On what the gateway answers itself for this route, what is set and added is there too.",
  }),
  check: checkHeaderEdits,
  create: config => ({ responseEdits: toHeaderEdits(config) }),
  describe: config => describeEdits('response', config),
})
