import { milliseconds, perSecond, share } from '../pages/traffic-wording'
import { html, type Content, type Html } from '../pages/html'
import type { TargetState, UpstreamState } from './sources'

export function upstreamsPage(upstreams: readonly UpstreamState[]): Html {
  return html`<h1>Upstreams</h1>
    <section aria-label="Upstreams">${upstreamTable(upstreams)}</section>
    <p class="muted">
      As this replica sees them. A target is ejected for some time after repeated failures (its circuit is open), until
      it accepts a connection again, or until its health check passes. When too few targets are left, all that accept
      connections get requests. Rates, faults and latencies are of the last 15 minutes, each retry counted as a call.
    </p>
    ${clientSection(upstreams)}`
}

/** Shows who uses the targets where calls wait: otherwise a share limits nobody. */
function clientSection(upstreams: readonly UpstreamState[]): Content {
  const crowded = upstreams.flatMap(({ name, targets }) =>
    targets.filter(({ connections }) => connections.waitingCalls > 0).map(target => ({ ...target, upstream: name })),
  )
  const rows = crowded.flatMap(({ upstream, target, clients = [] }) =>
    clients.map(client => ({ upstream, target, client })),
  )
  if (rows.length === 0) return undefined
  return html`<section aria-label="Clients of busy targets">
    <h2>Clients of busy targets</h2>
    <table class="table">
      <thead>
        <tr>
          ${['Upstream', 'Target', 'Client', ''].map(head => html`<th scope="col">${head}</th>`)}
          ${['Connections', 'Waiting', 'Streams', 'Unread'].map(
            head => html`<th scope="col" class="number">${head}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ upstream, target, client }) =>
            html`<tr>
              <td data-label="upstream">${upstream}</td>
              <td class="mono" data-label="target">${target}</td>
              <td class="mono" data-label="client">${client.client}</td>
              <td data-label="">${client.servedLast && 'served last'}</td>
              <td class="number" data-label="connections">${client.connections}</td>
              <td class="number" data-label="waiting">${client.waitingCalls}</td>
              <td class="number" data-label="streams">${client.eventStreams}</td>
              <td class="number" data-label="unread">${client.unreadResponses}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    <p class="muted">
      The ten clients with most calls of each target with waiting calls. Clients that wait take turns, however many
      calls each has. A client is served last for half a minute after it left responses unread and lost a connection.
    </p>
  </section>`
}

/** Builds the table of targets with their health and load. */
export function upstreamTable(upstreams: readonly UpstreamState[]): Html {
  return html`<table class="table">
    <thead>
      <tr>
        ${['Upstream', 'Target', 'State', 'Circuit', 'Health check'].map(head => html`<th scope="col">${head}</th>`)}
        ${['per s', 'faults', 'p50', 'p95'].map(head => html`<th scope="col" class="number">${head}</th>`)}
        <th scope="col" class="number">In flight</th>
        <th scope="col" class="number">Connections</th>
      </tr>
    </thead>
    <tbody>
      ${upstreams.map(upstream => [...upstream.targets.map(target => row(upstream, target)), sourceRows(upstream)])}
    </tbody>
  </table>`
}

function row({ name, panicking, affinity }: UpstreamState, target: TargetState): Html {
  const { circuit, healthCheck, activeCalls, calls, connections } = target
  const { open, free, waitingCalls } = connections
  return html`<tr>
    <td class="wide" data-label="">
      <strong>${name}</strong>${affinity && html`<div class="small muted">sticky by ${affinity.cookie}</div>`}
    </td>
    <td class="mono wide" data-label="">
      ${target.target}${target.protocol && html`<div class="small muted">${target.protocol}</div>`}${resolved(target.name)}
    </td>
    <td data-label="">${state(target, panicking)}</td>
    <td data-label="circuit">${circuit?.replace('_', ' ')}</td>
    <td data-label="check">${checked(healthCheck)}</td>
    ${callCells(calls)}
    <td class="number" data-label="in flight">
      ${activeCalls}${waitingCalls > 0 && html` <span class="warn-text">${waitingCalls} waiting</span>`}
    </td>
    <td class="number" data-label="connections">${open}<span class="muted">, ${free} free</span></td>
  </tr>`
}

/** Shows where the targets are found, above all if they cannot be found now. */
function sourceRows({ name, sources = [], targets }: UpstreamState): Html[] {
  return sources.map(
    ({ source, targets: count, lastFailure }) =>
      html`<tr>
        <td class="wide" data-label=""><strong>${targets.length === 0 && name}</strong></td>
        <td class="wide small muted" data-label="" colspan="10">
          ${source}: ${count} ${count === 1 ? 'target' : 'targets'}
          ${lastFailure !== null && html`<span class="warn-text">(not found now: ${lastFailure}${count > 0 ? '; old ones kept' : ''})</span>`}
        </td>
      </tr>`,
  )
}

/** Rate, failures and latency, so that targets can be compared. */
function callCells(calls: TargetState['calls']): Html {
  const isIdle = calls === undefined || calls.requests === 0
  return html`<td class="number" data-label="per second">
      ${isIdle ? html`<span class="muted">idle</span>` : perSecond(calls.perSecond)}
    </td>
    <td class="number" data-label="faults">
      ${!isIdle && html`<span class="${calls.faults > 0 && 'bad-text'}">${share(calls.faults, calls.requests)}</span>`}
    </td>
    <td class="number" data-label="p50">${!isIdle && milliseconds(calls.p50Ms)}</td>
    <td class="number" data-label="p95">${!isIdle && milliseconds(calls.p95Ms)}</td>`
}

function state({ healthy }: TargetState, panicking: boolean): Html {
  if (healthy) return html`<span class="outcome ok">in service</span>`
  return panicking
    ? html`<span class="outcome refusal">unhealthy, still gets requests</span>`
    : html`<span class="outcome fault">ejected</span>`
}

/** Shows name resolution only if it fails. */
function resolved(name: TargetState['name']): Content {
  if (name === undefined || name.lastFailure === null) return undefined
  const kept = name.addresses.length > 0 ? `: ${name.addresses.join(', ')} kept` : ''
  return html`<div class="small warn-text">name does not resolve (${name.lastFailure})${kept}</div>`
}

/**
 * Shows the health check. `passes` may have a failure beside it while too few checks failed in a row for an ejection.
 */
function checked(healthCheck: TargetState['healthCheck']): Content {
  if (healthCheck === undefined) return undefined
  const { healthy, lastFailure } = healthCheck
  const last = lastFailure ?? undefined
  if (!healthy) return html`<span class="bad-text">fails${last !== undefined && `: ${last}`}</span>`
  return html`passes${last !== undefined && html` <span class="muted small">last failure: ${last}</span>`}`
}
