import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExposedFamily } from '../support/exposition'
import { freePort } from '../support/free-port'
import { openTrace, scrape, type OpenedSpan } from '../support/ops-port'
import { answerScenarios, runScenario, SCENARIOS, scenarioConfig, type ScenarioName } from '../support/parity-scenarios'
import { startGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const NAMES = Object.keys(SCENARIOS) as ScenarioName[]

/** On every SERVER span. Client and port cost two more attributes, which are not worth it. */
const SERVER = ['SERVER network.peer.address: only stock', 'SERVER network.peer.port: only stock']
/** On every CLIENT span: the gateway's upstream name; no copy of the URL, and no header of the client. */
const CLIENT = [
  'CLIENT gateway.upstream.name: only own',
  'CLIENT url.path: only stock',
  'CLIENT url.scheme: only stock',
  'CLIENT user_agent.original: only stock',
]
/** The stock instrumentation names the method twice. */
const METHOD_TWICE = 'CLIENT http.request.method_original: only stock'
/** Attributes of the connection, once there is one. */
const CONNECTION = [
  'CLIENT network.peer.address: only stock',
  'CLIENT network.peer.port: only stock',
  'CLIENT network.protocol.version: only stock',
]
/** On every request; the stock instrumentation does not get this information. */
const REQUEST_ID = 'SERVER gateway.request.id: only own'
/** The stock span of a successful request ends without an outcome. */
const OUTCOME = 'SERVER gateway.outcome: only own'
const OK = [...SERVER, OUTCOME, ...CLIENT, ...CONNECTION, METHOD_TWICE]

/** Every difference between the two, by request. docs/telemetry.md gives the reasons. */
const DIFFERENCES: Readonly<Record<ScenarioName, readonly string[]>> = {
  success: OK,
  'success with a body': OK,
  HEAD: OK,
  'a method nobody knows': [
    ...OK.filter(difference => difference !== METHOD_TWICE),
    // A client could invent an unlimited number of span names.
    'SERVER name: HTTP /app, stock PROPFIND /app',
  ],
  '4xx of the upstream': OK,
  '5xx of the upstream': [
    ...OK.filter(difference => difference !== OUTCOME),
    'SERVER error.type: upstream_5xx, stock 503',
    'SERVER status: error "The upstream failed", stock error',
  ],
  'no route': SERVER,
  'over the limit': SERVER,
  'connection refused': [
    ...SERVER,
    ...CLIENT,
    METHOD_TWICE,
    'SERVER error.type: connect_refused, stock 502',
    'SERVER status: error "The upstream refused the connection", stock error',
    'CLIENT error.type: connect_refused, stock ECONNREFUSED',
    'CLIENT status: error, stock error "connect ECONNREFUSED"',
  ],
  'response timeout': [
    ...SERVER,
    ...CLIENT,
    ...CONNECTION,
    METHOD_TWICE,
    'SERVER error.type: response_timeout, stock 504',
    'SERVER status: error "The upstream did not answer in time", stock error',
    'CLIENT error.type: response_timeout, stock GatewayError',
    'CLIENT status: error, stock error "The upstream did not answer in time"',
    'CLIENT exceptions: 0, stock 1',
  ],
  'cut off in the middle': [
    ...SERVER,
    ...CLIENT,
    ...CONNECTION,
    METHOD_TWICE,
    'CLIENT error.type: reset, stock UND_ERR_SOCKET',
    'CLIENT status: error, stock error "other side closed"',
  ],
  // The response of the first call is not read, and the stock instrumentation ends its span with the body.
  'a call that is made again': [...SERVER, OUTCOME, 'CLIENT: 2 spans, stock 1'],
  // The client aborted it, so it is no error on any span.
  'client gone': [
    ...SERVER,
    ...CLIENT,
    ...CONNECTION,
    METHOD_TWICE,
    'CLIENT error.type: only stock',
    'CLIENT status: unset, stock error "The client closed the connection"',
    'CLIENT exceptions: 0, stock 1',
  ],
  'an event stream': OK,
  'the page of the gateway': [...SERVER, OUTCOME],
}

interface Told {
  readonly spans: Readonly<Record<ScenarioName, readonly OpenedSpan[]>>
  readonly families: ReadonlyMap<string, ExposedFamily>
}

describe('the gateway’s own instrumentation, compared with the stock ones,', () => {
  let upstream: RunningUpstream
  let own: Told
  let stock: Told

  before(async function () {
    this.timeout(60_000)
    upstream = await startUpstream(answerScenarios)
    const config = scenarioConfig(upstream.url, await freePort())
    own = await tellAll(config, 'own')
    stock = await tellAll(config, 'stock')
  })

  after(() => upstream.stop())

  /** Runs every scenario through a gateway of its own, and returns the telemetry of each. */
  async function tellAll(config: string, mode: 'own' | 'stock'): Promise<Told> {
    const gateway = await startGateway({ config, env: { TELEMETRY_HTTP_INSTRUMENTATION: mode } })
    // The first of two requests, so that the second one is over the limit.
    await (await fetch(`${gateway.url}/limited/a`)).text()
    const spans: Partial<Record<ScenarioName, readonly OpenedSpan[]>> = {}
    for (const [index, name] of NAMES.entries()) {
      const traceId = (index + 1).toString(16).padStart(32, '1')
      await runScenario(gateway.url, upstream, SCENARIOS[name], traceId)
      spans[name] = await until(() => openTrace(gateway.opsUrl, traceId), { what: `the trace of ${name}` })
    }
    const families = await scrape(gateway.opsUrl)
    await gateway.stop()
    return { spans: spans as Told['spans'], families }
  }

  for (const name of NAMES) {
    it(`differs only in the listed attributes: ${name}`, () => {
      const [ours, theirs] = [own, stock].map(told => told.spans[name])
      assert.deepEqual(differences(ours!, theirs!).sort(byText), [...DIFFERENCES[name], REQUEST_ID].sort(byText))
    })
  }

  it('exports no part of a query, which may hold secrets under unknown names', () => {
    for (const { spans } of [own, stock]) {
      const told = JSON.stringify(spans.success)
      assert.ok(told.includes('/app'))
      assert.ok(!told.includes('url.query') && !told.includes('?'), told)
    }
  })

  it('has the same span hierarchy', () => {
    for (const { spans } of [own, stock]) {
      for (const name of NAMES) {
        const server = spans[name].find(({ kind }) => kind === 2)
        assert.equal(server?.parentSpanId, '00f067aa0ba902b7', name)
        for (const client of spans[name].filter(({ kind }) => kind === 3)) {
          assert.equal(client.parentSpanId, server.spanId, name)
        }
      }
    }
  })

  for (const [family, translate, andOurs] of [
    // The stock instrumentation counts event streams as requests, so a stream of an hour is a very slow request there.
    ['http_server_request_duration_seconds', toStockServer, ['gateway_stream_duration_seconds']],
    ['http_client_request_duration_seconds', toStockClient, []],
  ] as const) {
    it(`counts the same in ${family}, with the same labels and buckets`, () => {
      const [ours, theirs] = [own, stock].map(told => told.families.get(family)!)
      assert.deepEqual([ours!.type, ours!.unit], [theirs!.type, theirs!.unit])
      assert.deepEqual(boundaries(ours!), boundaries(theirs!))
      assert.deepEqual(
        counts([ours!, ...andOurs.map(name => own.families.get(name)!)], translate),
        counts([theirs!], labels => labels),
      )
    })
  }

  it('counts event streams separately, and requests in flight', () => {
    assert.ok(own.families.has('gateway_stream_duration_seconds'))
    assert.ok(own.families.has('http_server_active_requests'))
    assert.ok(!stock.families.has('gateway_stream_duration_seconds'))
    assert.ok(!stock.families.has('http_server_active_requests'))
  })

  it('has the same counts of requests and decisions in the gateway’s own metrics', () => {
    for (const family of ['gateway_requests', 'gateway_rate_limiting_requests']) {
      const [ours, theirs] = [own, stock].map(({ families }) =>
        families
          .get(family)!
          .samples.map(({ labels, value }) => `${line(labels)} ${value}`)
          .sort(byText),
      )
      assert.deepEqual(ours, theirs)
    }
  })

  it('has every difference documented in docs/telemetry.md', () => {
    const docs = readFileSync(join(__dirname, '../../..', 'docs/telemetry.md'), 'utf8')
    const keys = Object.values(DIFFERENCES).flatMap(list =>
      list.map(difference => /^\w+ ([^:]+):/.exec(difference)?.[1] ?? ''),
    )
    const missing = [...new Set(keys)].filter(key => key.includes('.') && !docs.includes(`\`${key}\``))
    assert.deepEqual(missing, [])
  })
})

type Labels = Readonly<Record<string, string>>

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** `KIND attribute: ours, stock theirs`, without values that change from run to run. */
function differences(own: readonly OpenedSpan[], stock: readonly OpenedSpan[]): string[] {
  const kinds = [...new Set([...own, ...stock].map(({ kind }) => kind))]
  return kinds.flatMap(kind => {
    const side = kind === 2 ? 'SERVER' : 'CLIENT'
    const [ours, theirs] = [own, stock].map(spans => spans.filter(span => span.kind === kind))
    if (ours!.length !== theirs!.length) return [`${side}: ${ours!.length} spans, stock ${theirs!.length}`]
    const found = ours!.flatMap((span, index) => spanDifferences(span, theirs![index]!))
    return [...new Set(found)].map(difference => `${side} ${difference}`)
  })
}

function spanDifferences(own: OpenedSpan, stock: OpenedSpan): string[] {
  const found: string[] = []
  const compare = (what: string, ours: string, theirs: string): void => {
    if (ours !== theirs) found.push(`${what}: ${ours}, stock ${theirs}`)
  }
  compare('name', own.name, stock.name)
  compare('status', statusOf(own), statusOf(stock))
  compare('exceptions', String(own.events.length), String(stock.events.length))
  for (const key of new Set([...Object.keys(own.attributes), ...Object.keys(stock.attributes)])) {
    const [ours, theirs] = [own.attributes[key], stock.attributes[key]]
    // Each gateway has a port of its own, and a busy machine may delay one of them.
    if (key === 'gateway.event_loop.delay' || (key === 'server.port' && ours !== undefined && theirs !== undefined))
      continue
    if (ours === undefined) found.push(`${key}: only stock`)
    else if (theirs === undefined) found.push(`${key}: only own`)
    else if (key === 'url.full') compare(key, queryOf(textOf(ours)), queryOf(textOf(theirs)))
    else compare(key, textOf(ours), textOf(theirs))
  }
  return found
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function queryOf(url: string): string {
  return url.includes('?') ? 'with it' : 'without the query'
}

function statusOf({ status: { code, message } }: OpenedSpan): string {
  const text = message?.replace(/ 127\.0\.0\.1:\d+$/, '')
  return code === 2 ? `error${text === undefined ? '' : ` "${text}"`}` : 'unset'
}

function boundaries({ samples }: ExposedFamily): string[] {
  return [...new Set(samples.map(({ labels }) => labels['le'] ?? ''))]
}

/** One line per series with its number of records; ports and scopes are left out. */
function counts(families: readonly ExposedFamily[], translate: (labels: Labels) => Labels | undefined): string[] {
  const series = new Map<string, number>()
  for (const { name, labels, value } of families.flatMap(family => family.samples)) {
    if (!name.endsWith('_count')) continue
    const { server_port: _port, otel_scope_name: _name, otel_scope_version: _version, ...rest } = labels
    const translated = translate(rest)
    if (translated === undefined) continue
    const key = line(translated)
    series.set(key, (series.get(key) ?? 0) + value)
  }
  return [...series].map(([labels, value]) => `${labels} ${value}`).sort(byText)
}

function line(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => byText(a, b)))
}

/** A fault's `error.type` is its reason here; the stock one uses the status, so an aborted response has none. */
function toStockServer({ error_type: reason, gateway_stream: _stream, ...labels }: Labels): Labels {
  const status = labels['http_response_status_code']!
  return reason === undefined || Number(status) < 500 ? labels : { ...labels, error_type: status }
}

/** The stock one uses the error's code or class; it does not know the upstream, and names the protocol once connected. */
function toStockClient({ gateway_upstream_name: _upstream, ...labels }: Labels): Labels | undefined {
  const connected = { network_protocol_version: '1.1' }
  const status = labels['http_response_status_code']
  const reason = labels['error_type']
  if (status === '502') return undefined // the retried call, whose response was not read
  if (status !== undefined || reason === undefined) return { ...labels, ...connected }
  // The status of an aborted response is only on our span: on metrics it would make many series.
  if (reason === 'reset') {
    return { ...labels, ...connected, error_type: 'UND_ERR_SOCKET', http_response_status_code: '200' }
  }
  if (reason === 'connect_refused') return { ...labels, error_type: 'ECONNREFUSED' }
  return { ...labels, ...connected, error_type: 'GatewayError' }
}
