import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { status as code } from '@grpc/grpc-js'
import { needsBrowser, startBrowser } from '../support/browser'
import { startGrpcService, type GrpcService } from '../support/grpc-service'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const MODULES = resolve(__dirname, '../../../node_modules')

/** The ES modules of these packages, by the names under which they import each other. */
function importMap(): Record<string, string> {
  const imports: Record<string, string> = {}
  for (const name of ['@connectrpc/connect', '@connectrpc/connect-web', '@bufbuild/protobuf']) {
    const { exports } = JSON.parse(readFileSync(join(MODULES, name, 'package.json'), 'utf8')) as {
      exports: Record<string, { import?: string }>
    }
    for (const [path, file] of Object.entries(exports)) {
      if (file.import !== undefined) imports[join(name, path)] = join('/modules', name, file.import)
    }
  }
  return imports
}

/** A client generated at run time: the messages are `google.protobuf.StringValue`. */
const PAGE = `<!doctype html><script type="importmap">${JSON.stringify({ imports: importMap() })}</script>
<script type="module">
import { create, createFileRegistry } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, file_google_protobuf_wrappers as wrappers } from '@bufbuild/protobuf/wkt'
import { createClient } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
const type = '.google.protobuf.StringValue'
const method = (name, serverStreaming) => ({ name, inputType: type, outputType: type, serverStreaming })
const file = create(FileDescriptorProtoSchema, {
  name: 'echo.proto', package: 'test', syntax: 'proto3', dependency: [wrappers.proto.name],
  service: [{ name: 'Echo', method: [method('Unary', false), method('ServerStream', true)] }],
})
const registry = createFileRegistry(file, () => wrappers)
const service = registry.getService('test.Echo')
window.clientOf = baseUrl => createClient(service, createGrpcWebTransport({ baseUrl }))
window.isReady = true
</script>`

describe('gRPC-Web in a browser', function () {
  this.timeout(60_000)
  let service: GrpcService
  let site: RunningUpstream
  let pipeline: Pipeline
  let browser: Browser
  let page: Page

  before(needsBrowser)
  before(async () => {
    service = await startGrpcService()
    site = await startUpstream((request, response) => {
      const path = request.url ?? '/'
      if (path === '/') return response.setHeader('content-type', 'text/html').end(PAGE)
      const file = resolve(MODULES, path.replace(/^\/modules\//, ''))
      const isModule = path.startsWith('/modules/') && dirname(file).startsWith(MODULES)
      response.setHeader('content-type', 'text/javascript')
      return response.end(isModule ? readFileSync(file) : '')
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [service.url], protocol: 'h2c' } },
      routes: [
        { name: 'echo', match: { path: '/test.Echo' }, upstream: 'app', grpcWeb: true, cors: { origins: [site.url] } },
      ],
    })
    browser = await startBrowser()
    page = await browser.newPage()
    await page.goto(site.url)
    await page.waitForFunction('window.isReady === true')
  })
  after(async () => {
    await browser?.close()
    await pipeline?.stop()
    await site?.stop()
    await service?.stop()
  })

  const run = (script: string): Promise<unknown> =>
    page.evaluate(`(async () => { const client = clientOf(${JSON.stringify(pipeline.url)}); ${script} })()`)

  it('calls a method of another origin', async () => {
    assert.equal(await run(`return (await client.unary({ value: 'hello' })).value`), 'hello')
  })

  it('reads a stream message by message', async () => {
    service.handlers.serverStream = call => {
      for (const text of ['a', 'b', 'c']) call.write(Buffer.concat([Buffer.from([10, 1]), Buffer.from(text)]))
      call.end()
    }
    const script = `const seen = []; for await (const { value } of client.serverStream({ value: 'x' })) seen.push(value); return seen`
    assert.deepEqual(await run(script), ['a', 'b', 'c'])
  })

  it('reads the status and the message of a failure, the gateway’s own included', async () => {
    service.handlers.unary = (_call, respond) => respond({ code: code.NOT_FOUND, details: 'no such thing' })
    const script = `try { await client.unary({ value: 'x' }) } catch (error) { return [error.code, error.rawMessage] }`
    assert.deepEqual(await run(script), [code.NOT_FOUND, 'no such thing'])
    await service.stop()
    assert.deepEqual(await run(script), [code.UNAVAILABLE, 'The upstream refused the connection'])
  })
})
