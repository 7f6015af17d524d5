import { readFileSync } from 'node:fs'
import { mergeHeadersConfig } from '@opentelemetry/configuration'
import { AggregationTemporalityPreference } from '@opentelemetry/exporter-metrics-otlp-http'
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import type * as GrpcBase from '@opentelemetry/otlp-grpc-exporter-base'
import { load } from '../load'
import { problemsWithHeaders } from '../otlp-headers'
import type { ConsolePlan, OtlpOptions, OtlpPlan } from '../plan'
import { histogramsOf } from '../plan-of-settings'
import type { Section } from './section'

export type FileSignal = 'traces' | 'metrics' | 'logs'

/** Exporters of the schema that this gateway has not. */
const NOT_HERE = {
  'otlp_file/development': 'OpenTelemetry for Node has no exporter to a file; use otlp_http to a Collector, or console',
}

/** @returns undefined if the file is wrong there; the problem was reported */
export function exporterIn(parent: Section, signal: FileSignal): ConsolePlan | OtlpPlan | undefined {
  const section = parent.section('exporter')
  if (section === undefined) {
    parent.complain([], '"exporter" is missing', 'otlp_http, otlp_grpc, console')
    return undefined
  }
  const found = section.variant(['otlp_http', 'otlp_grpc', 'console'], NOT_HERE)
  if (found === undefined) return undefined
  const plan = found.name === 'console' ? consoleIn(found.section, signal) : otlpIn(found.section, found.name, signal)
  found.section.done()
  return plan
}

function consoleIn(section: Section, signal: FileSignal): ConsolePlan {
  const reason = 'the console exporter of Node has no such setting'
  if (signal === 'metrics')
    for (const key of ['temporality_preference', 'default_histogram_aggregation']) section.refuse(key, reason)
  return { name: 'console' }
}

function otlpIn(section: Section, name: string, signal: FileSignal): OtlpPlan {
  const isGrpc = name === 'otlp_grpc'
  const url = section.text('endpoint') ?? (isGrpc ? 'http://localhost:4317' : `http://localhost:4318/v1/${signal}`)
  const isUrl = /^https?:\/\//i.test(url) && URL.canParse(url)
  if (!isUrl) {
    const allowed = isGrpc ? 'http://host:port or https://host:port' : `http://host:port/v1/${signal}`
    section.complain(['endpoint'], `"${url}" is not a URL`, allowed)
  }
  const encoding = isGrpc ? undefined : section.oneOf('encoding', ['protobuf', 'json'])
  const compression = section.oneOf('compression', ['gzip', 'none'])
  const timeoutMillis = timeoutIn(section, 'timeout')
  const headers = headersIn(section)
  const shown = isUrl ? new URL(url) : undefined
  return {
    name: 'otlp',
    protocol: isGrpc ? 'grpc' : encoding === 'json' ? 'http/json' : 'http/protobuf',
    receiver: shown === undefined ? '' : isGrpc ? shown.host : `${shown.origin}${shown.pathname}`,
    options: {
      url,
      compression: compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
      timeoutMillis: timeoutMillis ?? 10_000,
      ...(isGrpc ? grpcOptions(section, headers) : httpOptions(section, headers)),
      ...(signal === 'metrics' && metricOptions(section)),
    },
  }
}

/** A timeout of 0 is "none" in the schema, which the SDK does not have. */
export function timeoutIn(section: Section, key: string): number | undefined {
  const timeout = section.number(key, { min: 0 })
  if (timeout === 0) {
    section.complain([key], '0 (no limit) is not supported: an export without a limit could wait for ever', '1 or more')
    return undefined
  }
  return timeout
}

function headersIn(section: Section): Record<string, string> {
  const list = section.text('headers_list')
  for (const problem of problemsWithHeaders(list ?? ''))
    section.complain(['headers_list'], problem, 'name=value,name=value')
  const headers = section.sections('headers').flatMap((header, index) => {
    const name = header.text('name')
    const value = header.text('value') ?? (header.has('value') ? '' : undefined)
    header.done()
    if (name === undefined || value === undefined)
      return (header.complain([], 'a header has a name and a value', '{ name: api-key, value: secret }'), [])
    // The value may be a secret, so that no message repeats it.
    const [problem] = value === '' ? [] : problemsWithHeaders(`${name}=${encodeURIComponent(value)}`)
    if (problem !== undefined) header.complain([], `header ${index + 1} ${problem.replace(/^entry 1 /, '')}`)
    return [{ name, value }]
  })
  return mergeHeadersConfig(headers, list) ?? {}
}

function httpOptions(section: Section, headers: Record<string, string>): OtlpOptions {
  const tls = section.section('tls')
  const files = tls === undefined ? {} : tlsFiles(tls)
  tls?.done()
  return { headers, httpAgentOptions: files }
}

function grpcOptions(section: Section, headers: Record<string, string>): OtlpOptions {
  const { createEmptyMetadata, createInsecureCredentials, createSslCredentials } = load<typeof GrpcBase>(
    '@opentelemetry/otlp-grpc-exporter-base',
  )
  const metadata = createEmptyMetadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  const tls = section.section('tls')
  const isInsecure = tls?.boolean('insecure') ?? false
  const { ca, key, cert } = tls === undefined ? {} : tlsFiles(tls)
  tls?.done()
  if (isInsecure) return { metadata, credentials: createInsecureCredentials() }
  if (ca === undefined && key === undefined && cert === undefined) return { metadata }
  return { metadata, credentials: createSslCredentials(ca, key, cert) }
}

function tlsFiles(tls: Section): { ca?: Buffer; key?: Buffer; cert?: Buffer } {
  const read = (key: string): Buffer | undefined => {
    const path = tls.file(key)
    return path === undefined ? undefined : readFileSync(path)
  }
  const [ca, key, cert] = [read('ca_file'), read('key_file'), read('cert_file')]
  return { ...(ca && { ca }), ...(key && { key }), ...(cert && { cert }) }
}

const TEMPORALITIES = {
  cumulative: AggregationTemporalityPreference.CUMULATIVE,
  delta: AggregationTemporalityPreference.DELTA,
  low_memory: AggregationTemporalityPreference.LOWMEMORY,
}

function metricOptions(section: Section): OtlpOptions {
  const temporality = section.oneOf('temporality_preference', ['cumulative', 'delta', 'low_memory']) ?? 'cumulative'
  const histograms =
    section.oneOf('default_histogram_aggregation', [
      'explicit_bucket_histogram',
      'base2_exponential_bucket_histogram',
    ]) ?? 'explicit_bucket_histogram'
  return { temporalityPreference: TEMPORALITIES[temporality], ...histogramsOf({ histograms }) }
}
