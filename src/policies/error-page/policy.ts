import { parseErrorPage } from '../../exchange/error-page'
import { definePolicy } from '../define-policy'
import { errorPageField } from './schema'

/** The HTML page that browsers get when the gateway answers with an error. Default: the entrypoint's. */
export const errorPage = definePolicy({
  name: 'errorPage',
  schema: errorPageField(
    'HTML file for browsers when the gateway answers this route with an error, instead of `entrypoint.errorPage`.',
  ).optional(),
  create: (path, { files }) => ({ errorPage: parseErrorPage(files.read(path).toString('utf8')) }),
  describe: path => [{ about: 'answer', text: `errors for browsers from ${path}` }],
})
