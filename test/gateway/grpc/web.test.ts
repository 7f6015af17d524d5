import assert from 'node:assert/strict'
import { status as code } from '@grpc/grpc-js'
import { startGrpcService, type GrpcService } from '../../support/grpc-service'
import { send, type Answer } from '../../support/send'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'

/** A gRPC frame with one message. */
function frameOf(text: string): Buffer {
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(text.length, 1)
  return Buffer.concat([frame, Buffer.from(text)])
}

/** Messages and trailers of a gRPC-Web body. */
function framesIn(body: Buffer): { messages: string[]; trailers: Record<string, string> } {
  const messages: string[] = []
  let trailers = {}
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    const text = body.toString('latin1', at + 5, end)
    if (body[at] === 0x80) {
      trailers = Object.fromEntries(
        text
          .trim()
          .split('\r\n')
          .map(line => line.split(': ')),
      ) as object
    } else messages.push(text)
    at = end
  }
  return { messages, trailers }
}

/** Decodes base64 whose parts are padded by themselves. */
function decoded(body: Buffer): Buffer {
  const parts = body.toString('latin1').match(/[^=]+={0,2}/g) ?? []
  return Buffer.concat(parts.map(part => Buffer.from(part, 'base64')))
}

describe('gRPC-Web', () => {
  const ORIGIN = 'https://shop.example'
  let service: GrpcService
  let pipeline: Pipeline

  beforeEach(async () => {
    service = await startGrpcService()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [service.url], protocol: 'h2c' } },
      routes: [
        {
          name: 'echo',
          match: { path: '/test.Echo' },
          upstream: 'app',
          grpcWeb: true,
          cors: { origins: [ORIGIN], exposeHeaders: ['x-late'] },
        },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', grpcWeb: true, maintenance: true },
      ],
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await service.stop()
  })

  const ask = (path: string, body: Buffer | string, type: string): Promise<Answer> =>
    send(pipeline.port, {
      method: 'POST',
      path,
      body,
      headers: { 'content-type': type, 'x-grpc-web': '1', accept: type, origin: ORIGIN },
    })

  it('in binary form becomes a gRPC call, and its trailers the last frame of the body', async () => {
    const answer = await ask('/test.Echo/ServerStream', frameOf('3'), 'application/grpc-web+proto')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'application/grpc-web+proto')
    assert.equal(answer.headers['access-control-allow-origin'], ORIGIN)
    assert.match(String(answer.headers['access-control-expose-headers']), /x-late, grpc-status, grpc-message/)
    const { messages, trailers } = framesIn(answer.body)
    assert.deepEqual(messages, ['0', '1', '2'])
    assert.equal(trailers['grpc-status'], '0')
    assert.equal((await pipeline.ended(1))[0]!.outcome, 'ok')
  })

  it('in text form is decoded and encoded, wherever its parts are padded', async () => {
    const parts = [frameOf('1').subarray(0, 4), frameOf('1').subarray(4)]
    const body = parts.map(part => part.toString('base64')).join('')
    const answer = await ask('/test.Echo/Unary', body, 'application/grpc-web-text')
    assert.equal(answer.headers['content-type'], 'application/grpc-web-text+proto')
    const { messages, trailers } = framesIn(decoded(answer.body))
    assert.deepEqual([messages, trailers['grpc-status']], [['1'], '0'])
  })

  it('passes the status of a failed call on and counts it', async () => {
    service.handlers.unary = (_call, respond) => respond({ code: code.INTERNAL, details: 'broken' })
    const answer = await ask('/test.Echo/Unary', frameOf('x'), 'application/grpc-web')
    const { trailers } = framesIn(answer.body)
    const status = trailers['grpc-status'] ?? answer.headers['grpc-status']
    assert.equal(status, String(code.INTERNAL))
    assert.equal((await pipeline.ended(1))[0]!.reason, 'grpc_status')
  })

  it('gets refusals of the gateway as gRPC answers', async () => {
    const answer = await ask('/limited', frameOf('x'), 'application/grpc-web+proto')
    assert.deepEqual(
      [answer.status, answer.headers['content-type'], answer.headers['grpc-status'], answer.text],
      [200, 'application/grpc-web+proto', String(code.UNAVAILABLE), ''],
    )
  })

  it('has its preflight answered', async () => {
    const { status, headers } = await send(pipeline.port, {
      method: 'OPTIONS',
      path: '/test.Echo/Unary',
      headers: {
        origin: ORIGIN,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-grpc-web,grpc-timeout',
      },
    })
    assert.equal(status, 204)
    assert.equal(headers['access-control-allow-headers'], 'content-type,x-grpc-web,grpc-timeout')
    assert.match(String(headers['access-control-allow-methods']), /POST/)
  })

  it('bounds calls by the deadline of the client', async () => {
    service.handlers.unary = () => {}
    const { headers } = await send(pipeline.port, {
      method: 'POST',
      path: '/test.Echo/Unary',
      body: frameOf('x'),
      headers: { 'content-type': 'application/grpc-web', 'grpc-timeout': '100m' },
    })
    assert.equal(headers['grpc-status'], String(code.DEADLINE_EXCEEDED))
  })
})
