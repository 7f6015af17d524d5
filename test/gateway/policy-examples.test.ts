import assert from 'node:assert/strict'
import { trace } from '@opentelemetry/api'
import { createHmac } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DefinedPolicy } from '../../src'
import { createTestGateway, type TestGateway, type TestGatewayOptions } from '../../src/testing'
import { runProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'

/** Compiled, this file is dist/test/gateway/policy-examples.test.js. */
const ROOT = resolve(__dirname, '../../..')
const EXAMPLES = join(ROOT, 'docs/examples')

describe('the examples of policies', function () {
  // The test kit records the spans of its process: the tests that follow here expect none.
  after(() => trace.disable())

  this.timeout(60_000)

  async function start(name: string, config: object, more: TestGatewayOptions = {}): Promise<TestGateway> {
    const module = (await import(pathToFileURL(join(EXAMPLES, `${name}.mts`)).href)) as { default: DefinedPolicy }
    return createTestGateway({ ...more, policies: [module.default], route: { [name]: config } })
  }

  it('compile in a strict program', async () => {
    const examples = readdirSync(EXAMPLES).filter(name => name.endsWith('.mts'))
    assert.ok(examples.length >= 6)
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const more = ['--skipLibCheck', '--ignoreConfig', '--erasableSyntaxOnly', '--allowImportingTsExtensions']
    const child = await runProcess({
      name: 'tsc',
      path: process.execPath,
      args: [
        join(ROOT, 'node_modules/typescript/bin/tsc'),
        ...options,
        ...more,
        ...examples.map(name => join(EXAMPLES, name)),
      ],
      cwd: ROOT,
    })
    assert.deepEqual([child.exit?.code, child.lines], [0, []])
  })

  describe('webhook-hmac', () => {
    const secret = 'a secret of some length'
    const sign = (body: string): string => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

    it('forwards a signed body whole, and refuses every other with 401', async () => {
      await using gateway = await start('webhook-hmac', { secret })
      // Longer than one chunk, so that putting it back is more than one read.
      for (const body of ['', '{"event":"push"}', 'x'.repeat(300_000)]) {
        const headers = { 'x-hub-signature-256': sign(body) }
        const passed = await gateway.request('/hook', { method: 'POST', headers, body })
        assert.equal(passed.status, 200, passed.body)
        assert.equal((passed.json() as { body: string }).body, body)
        for (const wrong of [{}, { 'x-hub-signature-256': sign(`${body}!`) }, { 'x-hub-signature-256': 'sha256=0' }]) {
          assert.equal((await gateway.request('/hook', { method: 'POST', headers: wrong, body })).status, 401)
        }
      }
    })

    it('takes a chunked body, and a body that is too large is 413', async () => {
      await using gateway = await start('webhook-hmac', { secret })
      const body = 'y'.repeat(100_000)
      const chunked = { 'transfer-encoding': 'chunked', 'x-hub-signature-256': sign(body) }
      const passed = await gateway.request('/hook', { method: 'POST', headers: chunked, body })
      assert.equal((passed.json() as { body: string }).body, body)
      const empty = { 'transfer-encoding': 'chunked', 'x-hub-signature-256': sign('') }
      assert.equal((await gateway.request('/hook', { method: 'POST', headers: empty, body: '' })).status, 200)
      const headers = { 'content-length': String(2 ** 21), 'x-hub-signature-256': sign('') }
      assert.equal((await gateway.request('/hook', { method: 'POST', headers, body: 'z'.repeat(2 ** 21) })).status, 413)
    })
  })

  describe('redact-cards', () => {
    it('masks card numbers also where two chunks meet, and leaves other bodies alone', async () => {
      const text = 'ä card 4111111111111111, order 12345, card 5500005555555559'
      const bytes = Buffer.from(text)
      let type = 'text/plain'
      let received: string | undefined
      await using gateway = await start(
        'redact-cards',
        {},
        {
          upstream: (request, response) => {
            received = request.headers['accept-encoding']
            response.setHeader('content-type', type)
            // One byte at a time: every place is one where two chunks meet.
            void (async () => {
              for (const byte of bytes) {
                response.write(Buffer.of(byte))
                await new Promise(setImmediate)
              }
              response.end()
            })()
          },
        },
      )
      const headers = { 'accept-encoding': 'gzip' }
      assert.equal((await gateway.request('/x', { headers })).body, 'ä card [card], order 12345, card [card]')
      assert.equal(received, undefined, 'the upstream is not asked to compress')
      type = 'application/octet-stream'
      assert.equal((await gateway.request('/x')).body, text)
    })

    it('sends nothing of a compressed response', async () => {
      await using gateway = await start(
        'redact-cards',
        {},
        {
          upstream: (_request, response) => {
            response
              .setHeader('content-type', 'text/plain')
              .setHeader('content-encoding', 'gzip')
              .end('4111111111111111')
          },
        },
      )
      const response = await gateway.request('/x')
      assert.equal(response.status, 500)
      assert.doesNotMatch(response.body, /4111/)
    })
  })

  it('openapi-requests lets only requests of the document pass', async () => {
    const file = join(temporaryFolder(), 'api.json')
    const schema = { $ref: '#/components/schemas/Order' }
    writeFileSync(
      file,
      JSON.stringify({
        openapi: '3.1.0',
        paths: {
          '/orders/{id}': {
            get: {
              parameters: [{ name: 'page', in: 'query', required: true, schema: { type: 'integer', minimum: 1 } }],
            },
            put: { requestBody: { required: true, content: { 'application/json': { schema } } } },
          },
        },
        components: {
          schemas: { Order: { type: 'object', required: ['amount'], properties: { amount: { type: 'number' } } } },
        },
      }),
    )
    await using gateway = await start('openapi-requests', { document: file })
    const statusOf = async (method: string, path: string, body?: string): Promise<number> =>
      (await gateway.request(path, { method, ...(body !== undefined && { body }) })).status
    assert.equal(await statusOf('GET', '/orders/5?page=2'), 200)
    assert.equal(await statusOf('GET', '/orders/5?page=0'), 400)
    assert.equal(await statusOf('GET', '/orders/5'), 400)
    assert.equal(await statusOf('GET', '/customers/5?page=2'), 404)
    assert.equal(await statusOf('DELETE', '/orders/5'), 404)
    assert.equal(await statusOf('PUT', '/orders/5', '{"amount":5}'), 200)
    for (const body of ['{"amount":"five"}', '{}', '{', ''])
      assert.equal(await statusOf('PUT', '/orders/5', body), 400, body)
    const refused = await gateway.request('/orders/5', { method: 'PUT', body: '{"amount":"five"}' })
    assert.match((refused.json() as { detail: string }).detail, /^body\/amount: must be number/)
  })

  it('ab-test gives a client one variant and clients the shares', async () => {
    const variants = async (share: number): Promise<ReadonlySet<unknown>> => {
      await using gateway = await start('ab-test', { experiment: 'blue-button', share })
      const seen = new Set<unknown>()
      for (let i = 0; i < 3; i++) {
        const response = await gateway.request('/x', { headers: { 'x-variant': 'mine' } })
        seen.add((response.json() as { headers: Record<string, string> }).headers['x-variant'])
      }
      assert.equal(gateway.spans().at(-1)?.attributes['acme.variant'], [...seen][0])
      return seen
    }
    assert.deepEqual([...(await variants(0))], ['a'])
    assert.deepEqual([...(await variants(1))], ['b'])
    assert.equal((await variants(0.5)).size, 1, 'the same client, the same variant')
  })
})
