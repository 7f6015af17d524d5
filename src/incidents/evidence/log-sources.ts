import { z } from 'zod'
import type { Send, SendInit } from '../backends/backend'

/** A log line as a log store has it. */
export interface FoundLine {
  readonly timeMs: number
  /** The service that wrote it; undefined if the store does not say. */
  readonly service: string | undefined
  readonly text: string
}

/** A store of logs that finds lines with one of some trace ids. */
export interface LogSource {
  readonly name: string
  find(traceIds: readonly string[], range: Range, signal: AbortSignal): Promise<readonly FoundLine[]>
}

export type LogKind = 'loki' | 'opensearch' | 'victorialogs'

export interface LogSettings {
  readonly kind: LogKind
  readonly url: string
  /** Loki: the stream selector. OpenSearch: the index. VictoriaLogs: a further filter. */
  readonly query: string | undefined
  /** `LOGS_TOKEN`; credentials of any other kind are in `send`. */
  readonly token: string | undefined
  readonly send?: Send
}

interface Range {
  readonly startMs: number
  readonly endMs: number
}

/** Maximum lines of one answer; an alert shows fewer. */
const MAX_LINES = 100
const MAX_ANSWER_BYTES = 2 * 1024 * 1024

const SOURCES: Readonly<Record<LogKind, (settings: LogSettings) => LogSource>> = { loki, opensearch, victorialogs }

export function logSource(settings: LogSettings): LogSource {
  return SOURCES[settings.kind]({ ...settings, url: settings.url.replace(/\/$/, '') })
}

const lokiAnswer = z.object({
  data: z.object({
    result: z.array(
      z.object({
        stream: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.string(), z.string()], z.unknown())),
      }),
    ),
  }),
})

/** Loki's `GET /loki/api/v1/query_range`: times in nanoseconds, lines in streams. */
function loki({ url, query = '{service_name=~".+"}', token, send }: LogSettings): LogSource {
  return {
    name: 'Loki',
    async find(traceIds, { startMs, endMs }, signal) {
      const parameters = new URLSearchParams({
        query: `${query} |~ "${traceIds.join('|')}"`,
        start: nanoseconds(startMs),
        end: nanoseconds(endMs),
        limit: String(MAX_LINES),
        direction: 'forward',
      })
      const text = await ask(
        `${url}/loki/api/v1/query_range?${parameters.toString()}`,
        { headers: headersOf(token), signal },
        send,
      )
      return lokiAnswer.parse(JSON.parse(text)).data.result.flatMap(({ stream, values }) =>
        values.map(([time, line]) => ({
          timeMs: Number(time) / 1e6,
          service: stream['service_name'] ?? stream['app'] ?? stream['job'],
          text: line,
        })),
      )
    },
  }
}

const openSearchAnswer = z.object({
  hits: z.object({ hits: z.array(z.object({ _source: z.record(z.string(), z.unknown()) })) }),
})

/** OpenSearch's `POST /{index}/_search`; Elasticsearch answers alike. */
function opensearch({ url, query = 'logs-*', token, send }: LogSettings): LogSource {
  return {
    name: 'OpenSearch',
    async find(traceIds, { startMs, endMs }, signal) {
      const body = {
        size: MAX_LINES,
        sort: [{ '@timestamp': 'asc' }],
        query: {
          bool: {
            filter: [
              { range: { '@timestamp': { gte: iso(startMs), lte: iso(endMs) } } },
              {
                simple_query_string: { query: traceIds.map(id => `"${id}"`).join(' | '), fields: ['*'], lenient: true },
              },
            ],
          },
        },
      }
      const headers = { ...headersOf(token), 'content-type': 'application/json' }
      const address = `${url}/${encodeURIComponent(query)}/_search`
      const text = await ask(address, { method: 'POST', headers, body: JSON.stringify(body), signal }, send)
      return openSearchAnswer.parse(JSON.parse(text)).hits.hits.map(({ _source: source }) => ({
        timeMs: timeOf(source['@timestamp']),
        service: stringOf(source['service.name']) ?? stringOf((source['service'] as Fields | undefined)?.['name']),
        text: lineOf(source),
      }))
    },
  }
}

/** VictoriaLogs' `POST /select/logsql/query`: one JSON object per line. */
function victorialogs({ url, query, token, send }: LogSettings): LogSource {
  return {
    name: 'VictoriaLogs',
    async find(traceIds, { startMs, endMs }, signal) {
      const ids = traceIds.map(id => `"${id}"`).join(',')
      const either = `(trace_id:in(${ids}) or _msg:~"${traceIds.join('|')}")`
      const body = new URLSearchParams({
        query: `${query === undefined ? '' : `${query} `}${either} | sort by (_time) | limit ${MAX_LINES}`,
        start: iso(startMs),
        end: iso(endMs),
        timeout: '5s',
      })
      const headers = { ...headersOf(token), 'content-type': 'application/x-www-form-urlencoded' }
      const init = { method: 'POST', headers, body: body.toString(), signal } as const
      const text = await ask(`${url}/select/logsql/query`, init, send)
      return text.split('\n').flatMap(line => {
        if (line.trim() === '') return []
        const { _time: time, _stream: _ofStream, _stream_id: _id, ...fields } = JSON.parse(line) as Fields
        const service = stringOf(fields['service.name']) ?? stringOf(fields['service'])
        return [{ timeMs: timeOf(time), service, text: lineOf(fields) }]
      })
    },
  }
}

type Fields = Readonly<Record<string, unknown>>

/** All fields as JSON: a trace id may stand in any of them, and redaction removes fields by name. */
function lineOf(fields: Fields): string {
  return JSON.stringify(fields)
}

/** Follows no redirect: the token is meant for this address. */
const sendDirectly: Send = async (url, init) => fetch(url, { ...init, redirect: 'error' })

async function ask(url: string, init: SendInit, send: Send = sendDirectly): Promise<string> {
  const response = await send(url, init)
  if (response.status === 401 || response.status === 403) {
    await response.body?.cancel()
    throw new Error(`the log store answered ${response.status}: are its credentials right?`)
  }
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`the log store answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the log store answered more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function headersOf(token: string | undefined): Record<string, string> {
  return { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function timeOf(value: unknown): number {
  const timeMs = typeof value === 'number' ? value : Date.parse(String(value))
  return Number.isNaN(timeMs) ? 0 : timeMs
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** A number of this size has no exact nanoseconds, so zeros are appended as text. */
function nanoseconds(timeMs: number): string {
  return `${Math.floor(timeMs)}000000`
}
