import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BASE_STYLE } from '../../pages/base-style'
import { html } from '../../pages/html'
import type { Page } from '../../pages/send-page'
import { styleSheet } from '../../pages/style-sheet'

/** Compiled, this file is dist/src/incidents/page/runbooks.js. */
const FOLDER = join(__dirname, '../../../../monitoring/runbooks')
const STYLE = styleSheet(BASE_STYLE, 'pre { white-space: pre-wrap; overflow-wrap: anywhere; }')

/** The shipped runbooks by alert name, read once at the start, so that no request can name a file. */
const RUNBOOKS: ReadonlyMap<string, string> = readAll()

function readAll(): Map<string, string> {
  try {
    const files = readdirSync(FOLDER).filter(name => name.endsWith('.md'))
    return new Map(files.map(name => [name.slice(0, -3), readFileSync(join(FOLDER, name), 'utf8')]))
  } catch {
    return new Map() // this installation has no runbooks
  }
}

export function hasRunbook(alertname: string): boolean {
  return RUNBOOKS.has(alertname)
}

/** Shows a runbook as plain text, at the same address as the incidents, so that its link in a message opens. */
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
