import { html, type Html } from '../../pages/html'
import { clock, duration, timeElement } from '../../pages/times'
import { waterfall } from '../../pages/waterfall'
import type { LogLine, ProvingTrace } from '../evidence/evidence'
import type { Story } from './story'
import type { IncidentView } from './incident-view'
import { traceLinks, type Places } from './links'
import { toShownSpan } from './shown-spans'

/** Maximum traces shown open; the others are collapsed. */
const MAX_TRACES = 8

export function traceSection({ story, places }: IncidentView): Html | undefined {
  const { traces } = story
  if (traces.length === 0) return undefined
  const first = traces.find(({ spans }) => spans.length > 0)
  return html`<section aria-labelledby="traces">
    <h2 id="traces">Example requests</h2>
    ${traceList(traces.slice(0, MAX_TRACES), first, { places, logs: story.logs })}
    ${
      traces.length > MAX_TRACES &&
      html`<details>
        <summary>${traces.length - MAX_TRACES} more, until ${clock(traces.at(-1)?.timeMs ?? 0)}</summary>
        ${traceList(traces.slice(MAX_TRACES), first, { places, logs: story.logs })}
      </details>`
    }
  </section>`
}

interface Around {
  readonly places: Places
  readonly logs: Story['logs']
}

function traceList(traces: readonly ProvingTrace[], first: ProvingTrace | undefined, around: Around): Html {
  return html`<ol class="traces">
    ${traces.map(trace => traceItem(trace, trace === first, around))}
  </ol>`
}

function traceItem(trace: ProvingTrace, isOpen: boolean, { places, logs }: Around): Html {
  const links = traceLinks(trace, places)
  return html`<li>
    <details ${isOpen ? OPEN : undefined}>
      <summary>
        ${timeElement(trace.timeMs)} <strong>${requestOf(trace)}</strong>
        <span class="muted small">${[trace.reason, duration(trace.durationMs)].filter(Boolean).join(' · ')}</span>
      </summary>
      <p class="small" id="trace-${trace.traceId}">
        Trace
        <code>${trace.traceId}</code>${links.map(({ name, href }) => html` · <a href="${href}">open it in ${name}</a>`)}
      </p>
      ${
        trace.spans.length > 0
          ? waterfall(trace.spans.map(toShownSpan))
          : html`<p class="note small">
              Only its exemplar is known: neither a gateway nor a trace backend had the trace.
            </p>`
      }
      ${logLines(logs.get(trace.traceId) ?? [])}
    </details>
  </li>`
}

function logLines(lines: readonly LogLine[]): Html | undefined {
  if (lines.length === 0) return undefined
  return html`<h3>Logs</h3>
    <ol class="logs">
      ${lines.map(
        ({ timeMs, service, text }) =>
          html`<li>${timeElement(timeMs)} <strong>${service}</strong> <code>${text}</code></li>`,
      )}
    </ol>`
}

const OPEN = html`open`

export function requestOf({ method, path, route, status, reason }: ProvingTrace): string {
  const request = [method, path ?? route].filter(part => part !== undefined).join(' ') || 'a request'
  return `${request} → ${status ?? reason ?? 'no answer'}`
}
