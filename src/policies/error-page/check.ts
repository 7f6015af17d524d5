import { PLACEHOLDER_NAMES, unknownPlaceholder } from '../../exchange/error-page'
import type { ConfigFiles } from '../../config/config-files'
import { problemAt } from '../../config/findings'
import { nearestName } from '../../config/nearest-name'
import { readMistake } from '../../config/read-file'
import type { ConfigProblem } from '../../config/types'
import { asList } from '../../config/understood'
import { mistake } from '../../config/values/parsed'
import { parseFilePath } from '../../config/values/tls'
import type { Path } from '../../config/variables'
import type { YamlSource } from '../../config/yaml-source'

/** Maximum size of an error page: every error sends it. */
const MAX_BYTES = 65_536

/** Checks the error pages of the entrypoint and of routes: that they can be read, and their placeholders. */
export function checkErrorPages(source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  const routes = asList(source.valueAt(['routes'])).map((_route, index): Path => ['routes', index, 'errorPage'])
  return [['entrypoint', 'errorPage'] as Path, ...routes].flatMap(at => {
    const path = parseFilePath(source.valueAt(at))
    if (!('value' in path)) return []
    const found = mistakeIn(path.value, files)
    return found === undefined ? [] : [problemAt(at, found, source)]
  })
}

function mistakeIn(path: string, files: ConfigFiles): ReturnType<typeof mistake> | undefined {
  let page: Buffer
  try {
    page = files.read(path)
  } catch (error) {
    return readMistake(error, 'an HTML file')
  }
  if (page.byteLength > MAX_BYTES) return mistake(`has ${page.byteLength} bytes`, `at most ${MAX_BYTES}`)
  const unknown = unknownPlaceholder(page.toString('utf8'))
  if (unknown === undefined) return undefined
  const allowed = PLACEHOLDER_NAMES.map(name => `{{${name}}}`).join(', ')
  const nearest = nearestName(unknown.name, PLACEHOLDER_NAMES)
  return mistake(`has {{${unknown.name}}} on line ${unknown.line}`, allowed, nearest && `{{${nearest}}}`)
}
