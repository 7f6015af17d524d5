import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPExporterError } from '@opentelemetry/otlp-exporter-base'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { kindOf, Pipeline } from '../../../otel/sdk/pipelines'
import { createAuthority } from '../../support/certificates'
import { createServer as createTlsServer } from 'node:tls'

/** Retries take longer than this, so that each export is one attempt. */
const TIMEOUT = { timeoutMillis: 500 }

describe('the kind of a failed export', () => {
  const servers: Server[] = []
  after(() => {
    for (const server of servers) server.close()
  })

  async function listen(server: Server): Promise<number> {
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  /** What the pipeline counts after one export to this address. */
  async function failed(exporter: SpanExporter): Promise<readonly string[]> {
    const pipeline = new Pipeline('traces', 'otlp', 'somewhere')
    const watched = pipeline.watch(exporter)
    await new Promise<void>(resolve => watched.export([], () => resolve()))
    await exporter.shutdown()
    return Object.keys(pipeline.state.failed)
  }

  const closed = 'http://127.0.0.1:1'
  const unknown = 'http://nowhere.invalid:4318'
  for (const [name, exporterTo] of [
    ['HTTP', (url: string) => new JsonTraceExporter({ url: `${url}/v1/traces`, ...TIMEOUT })],
    ['gRPC', (url: string) => new GrpcTraceExporter({ url, ...TIMEOUT })],
  ] as const) {
    it(`is the code of a refused connection, over ${name}`, async () => {
      assert.deepEqual(await failed(exporterTo(closed)), ['ECONNREFUSED'])
    })

    it(`is that of a name that does not exist, over ${name}`, async () => {
      const [kind] = await failed(exporterTo(unknown))
      assert.ok(kind === 'ENOTFOUND' || kind === 'EAI_AGAIN', `${kind}: without a name server it is the latter`)
    })

    it(`is timeout if nothing is answered, over ${name}`, async () => {
      const port = await listen(createServer(socket => void socket.on('error', () => {}).unref()))
      assert.deepEqual(await failed(exporterTo(`http://127.0.0.1:${port}`)), ['timeout'])
    })

    it(`is tls if the receiver does not speak it, or has a strange certificate, over ${name}`, async () => {
      const plain = createHttpServer()
      assert.deepEqual(await failed(exporterTo(`https://127.0.0.1:${await listen(plain)}`)), ['tls'])
      const { cert, key } = createAuthority('strange').issue('localhost')
      const strange = createTlsServer({ cert, key })
      strange.on('tlsClientError', () => {})
      assert.deepEqual(await failed(exporterTo(`https://localhost:${await listen(strange)}`)), ['tls'])
    })
  }

  it('is a status, a code of gRPC or one of few words, whatever is made up', () => {
    const withCode = (code: unknown, message = ''): Error => Object.assign(new Error(message), { code })
    for (const [error, kind] of [
      [new OTLPExporterError('Unauthorized', 401), '401'],
      [new OTLPExporterError('?', 99_999), '_OTHER'],
      [new OTLPExporterError('Export failed with retryable status'), 'retryable_status'],
      [withCode(16), 'grpc_16'],
      [withCode(77), '_OTHER'],
      [withCode('EMADEUP'), '_OTHER'],
      [new AggregateError([withCode('EHOSTUNREACH')]), 'EHOSTUNREACH'],
      [new Error('Concurrent export limit reached'), 'too_many_exports'],
      ['text', '_OTHER'],
      [undefined, '_OTHER'],
    ] as const)
      assert.equal(kindOf(error), kind)
  })
})
