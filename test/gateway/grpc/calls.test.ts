import assert from 'node:assert/strict'
import { once, type EventEmitter } from 'node:events'
import { status as code, type Client, type StatusObject } from '@grpc/grpc-js'
import { hashApiKey, newApiKey } from '../../../src/cli/hash-key'
import { callUnary, ECHO, grpcClient, metadataOf, startGrpcService, type GrpcService } from '../../support/grpc-service'
import { openHttp2, sendHttp2 } from '../../support/http2-client'
import { startHttp2Upstream } from '../../support/start-http2-upstream'
import { AUDIENCE, ISSUER, newIssuerKey, sign, startIssuer } from '../../support/start-issuer'
import { startPipeline, type GatewayFile, type Pipeline } from '../../support/start-pipeline'
import { until } from '../../support/until'

const same = (bytes: Buffer): Buffer => bytes

/** Unlike `once`, not rejected by the 'error' of a call that failed. */
function statusOf(call: EventEmitter): Promise<StatusObject> {
  return new Promise(resolve => call.once('status', resolve))
}

describe('gRPC', () => {
  let service: GrpcService
  let pipeline: Pipeline
  let client: Client

  const file = (route: object = {}, upstream: object = {}, others: Partial<GatewayFile> = {}): GatewayFile => ({
    entrypoint: { http2: { cleartext: true } },
    upstreams: { app: { targets: [service.url], protocol: 'h2c', ...upstream } },
    routes: [{ name: 'echo', match: { path: '/test.Echo' }, upstream: 'app', ...route }],
    ...others,
  })
  const start = async (...changed: Parameters<typeof file>): Promise<void> => {
    pipeline = await startPipeline(file(...changed))
    client = grpcClient(pipeline.port)
  }

  beforeEach(async () => {
    service = await startGrpcService()
  })
  afterEach(async () => {
    client.close()
    await pipeline.stop()
    await service.stop()
  })

  describe('calls', () => {
    beforeEach(async () => start())

    it('with one message each way reach the service with their metadata', async () => {
      service.handlers.unary = (call, respond) => {
        call.sendMetadata(metadataOf({ 'x-early': '1' }))
        respond(null, call.request, metadataOf({ 'x-late': '2' }))
      }
      const { error, message, status } = await callUnary(client, 'hello', { fields: { 'x-tenant': 'a' } })
      assert.equal(error, null)
      assert.equal(String(message), 'hello')
      assert.deepEqual(status.metadata.get('x-late'), ['2'])
      assert.deepEqual(service.calls[0]!.get('x-tenant'), ['a'])
      assert.equal((await pipeline.ended(1))[0]!.outcome, 'ok')
    })

    it('that stream from the client are one message at the end', async () => {
      const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
        const call = client.makeClientStreamRequest(ECHO.clientStream.path, same, same, (error, message) =>
          error ? reject(error) : resolve(message),
        )
        for (let i = 0; i < 100; i++) call.write(Buffer.from('x'.repeat(1_000)))
        call.end()
      })
      assert.equal(answer?.length, 100_000)
    })

    it('that stream from the service deliver every message', async () => {
      const call = client.makeServerStreamRequest(ECHO.serverStream.path, same, same, Buffer.from('1000'))
      const seen: string[] = []
      call.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
      await once(call, 'end')
      assert.deepEqual(
        seen,
        Array.from({ length: 1_000 }, (_, i) => String(i)),
      )
    })

    it('that stream in both directions pass messages as they come', async () => {
      const call = client.makeBidiStreamRequest(ECHO.bidi.path, same, same)
      for (const text of ['a', 'b', 'c']) {
        call.write(Buffer.from(text))
        const [echo] = (await once(call, 'data')) as [Buffer]
        assert.equal(echo.toString(), text)
      }
      const ended = once(call, 'status')
      call.end()
      call.resume()
      const [status] = (await ended) as [StatusObject]
      assert.equal(status.code, code.OK)
    })

    it('carry large messages both ways', async () => {
      const { message } = await callUnary(client, Buffer.alloc(8_000_000, 7))
      assert.equal(message?.length, 8_000_000)
    })

    it('pass errors with message and details on', async () => {
      service.handlers.unary = (_call, respond) =>
        respond({ code: code.NOT_FOUND, details: 'no ünit 7', metadata: metadataOf({ 'x-why': 'gone' }) })
      const { error } = await callUnary(client, 'x')
      assert.deepEqual([error?.code, error?.details], [code.NOT_FOUND, 'no ünit 7'])
      assert.deepEqual(error?.metadata.get('x-why'), ['gone'])
      assert.deepEqual(
        (await pipeline.ended(1)).map(({ outcome, reason }) => [outcome, reason]),
        [['ok', undefined]],
      )
    })

    it('that are cancelled are cancelled at the service', async () => {
      let cancelled: Promise<unknown> | undefined
      service.handlers.bidi = call => void (cancelled = once(call, 'cancelled'))
      const call = client.makeBidiStreamRequest(ECHO.bidi.path, same, same)
      call.on('error', () => {})
      call.write(Buffer.from('x'))
      await until(() => cancelled !== undefined, { what: 'the call' })
      call.cancel()
      await cancelled
      assert.equal((await pipeline.ended(1))[0]!.outcome, 'client_closed')
    })

    it('keep their compression', async () => {
      const compressing = grpcClient(pipeline.port, { 'grpc.default_compression_algorithm': 2 })
      const { message } = await callUnary(compressing, 'z'.repeat(10_000))
      assert.equal(message?.length, 10_000)
      compressing.close()
    })
  })

  for (const [name, isFault] of [
    ['INTERNAL', true],
    ['UNAVAILABLE', true],
    ['DATA_LOSS', true],
    ['UNKNOWN', true],
    ['DEADLINE_EXCEEDED', true],
    ['UNIMPLEMENTED', true],
    ['PERMISSION_DENIED', false],
    ['RESOURCE_EXHAUSTED', false],
    ['ABORTED', false],
  ] as const) {
    it(`counts a service's ${name} as ${isFault ? 'a fault' : 'an answer'}`, async () => {
      await start()
      service.handlers.serverStream = call => {
        call.write(Buffer.from('one'))
        call.emit('error', { code: code[name], details: 'so' })
      }
      service.handlers.unary = (_call, respond) => respond({ code: code[name], details: 'so' })
      const { error } = await callUnary(client, 'x')
      assert.equal(error?.code, code[name])
      const stream = client.makeServerStreamRequest(ECHO.serverStream.path, same, same, Buffer.from('1'))
      stream.on('error', () => {})
      const ended = statusOf(stream)
      stream.resume()
      assert.equal((await ended).code, code[name])
      const expected = isFault ? ['fault', 'grpc_status'] : ['ok', undefined]
      assert.deepEqual(
        (await pipeline.ended(2)).map(({ outcome, reason }) => [outcome, reason]),
        [expected, expected],
      )
    })
  }

  describe('deadlines', () => {
    it('of the client bound the call and tell the service what is left', async () => {
      await start()
      let left: unknown
      service.handlers.unary = call => void (left = call.getDeadline())
      const begun = Date.now()
      const session = await openHttp2(pipeline.url)
      // Without a deadline of its own, so that the gateway's answer is seen.
      const stream = session.request({
        ':path': ECHO.unary.path,
        ':method': 'POST',
        'content-type': 'application/grpc',
        'grpc-timeout': '300m',
        te: 'trailers',
      })
      stream.end(Buffer.from([0, 0, 0, 0, 1, 120]))
      const [headers] = (await once(stream, 'response')) as [Record<string, string>]
      assert.deepEqual(
        [headers[':status'], headers['grpc-status'], headers['grpc-message']],
        [200, String(code.DEADLINE_EXCEEDED), 'The upstream did not answer in time'],
      )
      assert.ok(Number(left) - begun <= 400, `${Number(left) - begun} ms`)
      session.destroy()
      assert.equal((await pipeline.ended(1))[0]!.reason, 'response_timeout')
    })

    it('end a stream that has begun by trailers', async () => {
      await start({ timeouts: { total: '300ms' } })
      service.handlers.serverStream = call => void call.write(Buffer.from('one'))
      const stream = client.makeServerStreamRequest(ECHO.serverStream.path, same, same, Buffer.from('1'))
      stream.on('error', () => {})
      const ended = statusOf(stream)
      const [message] = (await once(stream, 'data')) as [Buffer]
      assert.deepEqual([message.toString(), (await ended).code], ['one', code.DEADLINE_EXCEEDED])
    })
  })

  describe('refusals of the gateway', () => {
    const refused = async (fields: Record<string, string> = {}, path?: string): Promise<[number, string]> => {
      const { error } = await callUnary(client, 'x', { fields, ...(path !== undefined && { path }) })
      return [error?.code ?? 0, error?.details ?? '']
    }

    it('are UNIMPLEMENTED without a route', async () => {
      await start()
      assert.deepEqual(await refused({}, '/other.Service/Method'), [
        code.UNIMPLEMENTED,
        'No route matches this request',
      ])
    })

    it('are UNAUTHENTICATED without a key and PERMISSION_DENIED without its scope', async () => {
      const key = newApiKey()
      const consumers = { shop: { apiKeys: [hashApiKey(key)], scopes: ['read'] } }
      await start({ auth: { apiKey: {}, scopes: ['write'] } }, {}, { consumers })
      assert.deepEqual(await refused(), [code.UNAUTHENTICATED, 'Credentials are missing or not valid'])
      assert.deepEqual(await refused({ 'x-api-key': key }), [code.PERMISSION_DENIED, 'Not allowed'])
      assert.equal(service.calls.length, 0)
    })

    it('are UNAUTHENTICATED without a valid token, which counts in the metadata', async () => {
      const key = await newIssuerKey('a')
      const issuer = await startIssuer([key.publicJwk])
      try {
        const tokens = { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url } }
        await start({ auth: { jwt: { tokens: 'sso' } } }, {}, { tokens })
        const bearer = async (claims: object): Promise<Record<string, string>> => ({
          authorization: `Bearer ${await sign(key, { ...claims })}`,
        })
        assert.equal((await refused())[0], code.UNAUTHENTICATED)
        assert.equal((await refused(await bearer({ aud: 'another' })))[0], code.UNAUTHENTICATED)
        assert.equal(service.calls.length, 0)
        assert.equal((await refused(await bearer({})))[0], 0)
        assert.equal(service.calls.length, 1)
      } finally {
        await issuer.stop()
      }
    })

    it('are RESOURCE_EXHAUSTED above a limit, with the time to wait', async () => {
      await start({ rateLimit: { limit: 1, window: '1m' } })
      assert.equal((await callUnary(client, 'x')).error, null)
      const { error } = await callUnary(client, 'x')
      assert.equal(error?.code, code.RESOURCE_EXHAUSTED)
      assert.ok(Number(error?.metadata.get('grpc-retry-pushback-ms')[0]) >= 1_000)
    })

    it('are RESOURCE_EXHAUSTED for too large bodies', async () => {
      await start({ maxBodySize: '1KiB' })
      assert.equal((await refused())[0], 0)
      assert.equal((await callUnary(client, 'x'.repeat(5_000))).error?.code, code.RESOURCE_EXHAUSTED)
    })

    it('are UNAVAILABLE without a target and in maintenance', async () => {
      await start()
      await service.stop()
      assert.deepEqual(await refused(), [code.UNAVAILABLE, 'The upstream refused the connection'])
      pipeline.reload(file({ maintenance: true }))
      assert.equal((await refused())[0], code.UNAVAILABLE)
    })
  })

  describe('retries', () => {
    it('repeat a call that the service refused, on a route that allows it', async () => {
      await start({ retry: 'always' }, { retries: { attempts: 3, conditions: [503] } })
      let calls = 0
      service.handlers.unary = (call, respond) =>
        ++calls < 3 ? respond({ code: code.UNAVAILABLE, details: 'not yet' }) : respond(null, call.request)
      const { message } = await callUnary(client, 'again')
      assert.deepEqual([String(message), calls], ['again', 3])
      assert.equal((await pipeline.ended(1))[0]!.outcome, 'ok')
    })

    it('do not repeat others', async () => {
      await start({}, { retries: { attempts: 3, conditions: [503] } })
      service.handlers.unary = (_call, respond) => respond({ code: code.UNAVAILABLE, details: 'no' })
      assert.equal((await callUnary(client, 'x')).error?.code, code.UNAVAILABLE)
      assert.equal(service.calls.length, 1)
    })
  })

  it('is no failure of an HTTP upstream that a client only calls gRPC', async () => {
    const http = await startHttp2Upstream()
    await start({}, { targets: [http.url] })
    const session = await openHttp2(pipeline.url)
    const fields = { ':path': '/test.Echo/Unary', ':method': 'POST', 'content-type': 'application/grpc' }
    assert.equal((await sendHttp2(session, fields, 'x')).text, 'ok /test.Echo/Unary')
    session.destroy()
    assert.equal((await pipeline.ended(1))[0]!.outcome, 'ok')
    await http.stop()
  })

  it('finishes streams in flight while the gateway drains', async () => {
    await start()
    const call = client.makeBidiStreamRequest(ECHO.bidi.path, same, same)
    call.write(Buffer.from('before'))
    await once(call, 'data')
    pipeline.drain()
    const closed = once(pipeline.server, 'close')
    pipeline.server.close()
    call.write(Buffer.from('after'))
    const [echo] = (await once(call, 'data')) as [Buffer]
    assert.equal(echo.toString(), 'after')
    const ended = statusOf(call)
    call.end()
    call.resume()
    assert.equal((await ended).code, code.OK)
    await closed
    assert.equal((await pipeline.ended(1))[0]!.outcome, 'ok')
  })

  it('ends a call that is silent for longer than its idle timeout', async () => {
    await start({ grpc: { idleTimeout: '1s' }, timeouts: { response: '100ms' } })
    service.handlers.serverStream = stream => void stream.write(Buffer.from('one'))
    const call = client.makeServerStreamRequest(ECHO.serverStream.path, same, same, Buffer.from('1'))
    call.on('error', () => {})
    const ended = statusOf(call)
    const begun = performance.now()
    call.resume()
    assert.equal((await ended).code, code.DEADLINE_EXCEEDED)
    // Not after `timeouts.response`.
    assert.ok(performance.now() - begun > 900)
  })

  it('loses no call while the gateway reloads and the service drains its connections', async () => {
    await start()
    const load = { isOver: false }
    let made = 0
    const worker = async (): Promise<void> => {
      while (!load.isOver) {
        const { error } = await callUnary(client, 'x')
        assert.equal(error, null)
        made++
      }
    }
    const workers = Array.from({ length: 8 }, worker)
    for (let round = 1; round <= 5; round++) {
      await until(() => made > round * 50, { what: 'load' })
      pipeline.reload(file({}, { timeouts: { response: `${20 + round}s` } }))
      service.server.drain(`127.0.0.1:${service.port}`, 1_000)
    }
    load.isOver = true
    await Promise.all(workers)
    assert.ok((await pipeline.ended(made)).every(({ outcome }) => outcome === 'ok'))
  })
})
