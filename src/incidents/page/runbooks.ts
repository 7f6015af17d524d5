import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BASE_STYLE } from '../../pages/base-style'
import { html } from '../../pages/html'
import type { Page } from '../../pages/send-page'
import { styleSheet } from '../../pages/style-sheet'

/** Compiled, this file is dist/src/incidents/page/runbooks.js. */
const FOLDER = join(__dirname, '../../../../monitoring/runbooks')
const STYLE = styleSheet(BASE_STYLE, 'pre { white-space: pre-wrap; overflow-wrap: anywhere; }')

/** The pages that came with this version, by the names of their alerts: read once, so that a request names no file. */
const RUNBOOKS: ReadonlyMap<string, string> = readAll()

function readAll(): Map<string, string> {
  try {
    const files = readdirSync(FOLDER).filter(name => name.endsWith('.md'))
    return new Map(files.map(name => [name.slice(0, -3), readFileSync(join(FOLDER, name), 'utf8')]))
  } catch {
    return new Map() // an installation without them
  }
}

export function hasRunbook(alertname: string): boolean {
  return RUNBOOKS.has(alertname)
}

/** The text of a runbook as it is written, so that a link in a message opens where the incidents do. */
export function runbookPage(alertname: string): Page | undefined {
  const text = RUNBOOKS.get(alertname)
  if (text === undefined) return undefined
  return {
    title: `Runbook: ${alertname}`,
    mark: 'good',
    style: STYLE,
    body: html`<main>
      <nav class="small"><a href="../incidents">All incidents</a></nav>
      <pre>${text}</pre>
    </main>`,
  }
}
