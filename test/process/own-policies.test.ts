import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseExposition, sampleValue } from '../support/exposition'
import { send } from '../support/send'
import { startGateway } from '../support/start-gateway'
import { plainEnvironment, runProcess, type TestProcess } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** Compiled, this file is dist/test/process/own-policies.test.js. */
const ROOT = resolve(__dirname, '../../..')

const TENANT = `
import { definePolicy, z } from 'myesi-gateway'

interface Settings { readonly header: string; readonly fails?: string | undefined }

export default definePolicy({
  name: 'acme-tenant',
  schema: z.strictObject({ header: z.string(), fails: z.enum(['throws', 'hangs']).optional() }),
  timeoutMs: 100,
  describe: ({ header }) => \`tenant in \${header}\`,
  create: ({ header, fails }: Settings) => ({
    onRequest(context) {
      context.setAttribute('acme.tenant', 'seven')
      if (context.headers['x-count'] !== undefined) {
        for (let i = 0; i < 300; i++) context.count('acme.tenant.requests', { tenant: \`t\${i}\` })
        for (let i = 0; i < 300; i++) context.log('warn', 'counted', { i, note: 'x'.repeat(5000) })
      }
      if (context.headers['x-wrong'] !== undefined) context.count('gateway.requests')
      if (context.headers['x-fail'] === undefined) return
      if (fails === 'throws') throw new Error('no tenant today')
      if (fails === 'hangs') return new Promise(() => {})
    },
    onAttempt(_context, { fields }) {
      fields.push(header, 'seven')
    },
    onEnd() {
      throw new Error('observers may fail')
    },
  }),
})
`

function folderWith(policy: string): { folder: string; module: string } {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'node_modules'))
  mkdirSync(join(folder, 'policies'))
  symlinkSync(ROOT, join(folder, 'node_modules/myesi-gateway'), 'junction')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const module = join(folder, 'policies/tenant.ts')
  writeFileSync(module, policy)
  return { folder, module }
}

function fileWith(module: string, target: string, more = ''): string {
  return `
policies: [${JSON.stringify(module)}]
upstreams:
  app: { targets: ['${target}'] }
routes:
  - { name: app, match: { path: /app }, upstream: app, acme-tenant: { header: x-tenant${more} } }
  - { name: plain, match: { path: /plain }, upstream: app }
`
}

describe('custom policies', function () {
  this.timeout(60_000)

  it('run from TypeScript, are reloaded on a change, and report failures in metric, log, span and response', async () => {
    const upstream = await startUpstream((request, response) => response.end(String(request.headers['x-tenant'])))
    const { module } = folderWith(TENANT)
    const gateway = await startGateway({ config: fileWith(module, upstream.url, ', fails: throws') })
    assert.equal((await send(gateway.port, '/app')).text, 'seven')
    assert.equal(
      (await send(gateway.port, '/plain')).text,
      'undefined',
      'a route without the key is without the policy',
    )

    const failed = await send(gateway.port, { path: '/app', headers: { 'x-fail': 'yes' } })
    assert.equal(failed.status, 500)
    assert.equal((JSON.parse(failed.text) as { reason: string }).reason, 'policy_failed')
    const line = await gateway.process.waitForLog('the access line', entry => entry['reason'] === 'policy_failed')
    assert.match(JSON.stringify(line), /policy acme-tenant threw in onRequest: no tenant today/)
    await gateway.process.waitForLog(
      'the policy’s own line',
      entry => entry['event'] === 'policy' && entry['policy'] === 'acme-tenant',
    )
    const scraped = await send(gateway.opsPort, '/metrics')
    const labels = { gateway_policy_name: 'acme-tenant', gateway_policy_failure: 'threw' }
    assert.ok(
      (sampleValue(parseExposition(scraped.text, 'text'), 'gateway_policy_failures_total', labels) ?? 0) >= 2,
      'onEnd of the first, and onRequest',
    )
    const path = `/traces/${String(line['trace_id'])}`
    const trace = await send(gateway.opsPort, { path, headers: { accept: 'application/json' } })
    for (const text of ['gateway.policy.name', 'acme-tenant', 'acme.tenant']) assert.ok(trace.text.includes(text), text)
    const routes = await send(gateway.opsPort, { path: '/routes', headers: { accept: 'application/json' } })
    assert.match(routes.text, /tenant in x-tenant/)

    writeFileSync(module, TENANT.replace("fields.push(header, 'seven')", "fields.push(header, 'eight')"))
    await until(async () => (await send(gateway.port, '/app')).text === 'eight', { what: 'the new content runs' })
    writeFileSync(module, 'export const nothing: number = 1')
    await gateway.process.waitForLog('the refusal', entry => /exports no policy/.test(String(entry['msg'])))
    assert.equal((await send(gateway.port, '/app')).text, 'eight', 'the one before stays')
    await gateway.stop()
    await upstream.stop()
  })

  it('count and log within bounds, with the trace of the request', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const { module } = folderWith(TENANT)
    const gateway = await startGateway({ config: fileWith(module, upstream.url) })
    await send(gateway.port, { path: '/app', headers: { 'x-count': 'yes' } })
    const access = await gateway.process.waitForLog('the access line', entry => entry['event'] === 'request')
    const metrics = parseExposition((await send(gateway.opsPort, '/metrics')).text, 'text')
    const family = metrics.get('acme_tenant_requests_total')
    assert.equal(family?.samples.length, 100, 'as many series as a counter may have')
    assert.equal(sampleValue(metrics, 'acme_tenant_requests_total', { tenant: 't0' }), 1)
    assert.equal(sampleValue(metrics, 'acme_tenant_requests_total', { otel_metric_overflow: 'true' }), 201)

    const lines = gateway.logs.filter(entry => entry['event'] === 'policy_log')
    assert.ok(lines.length >= 20 && lines.length <= 40, `${lines.length} lines: 20 in each second`)
    assert.partialDeepStrictEqual(lines[0], {
      level: 'warn',
      msg: 'counted',
      policy: 'acme-tenant',
      route: 'app',
      trace_id: access['trace_id'],
      request_id: access['request_id'],
      data: { i: 0, note: 'x'.repeat(1_000) },
    })

    const wrong = await send(gateway.port, { path: '/app', headers: { 'x-wrong': 'yes' } })
    assert.equal(wrong.status, 500, 'a name of the gateway is a mistake of the policy')
    await gateway.stop()
    await upstream.stop()
  })

  it('are ended when a promise does not settle, and admit requests if they fail open', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const { module } = folderWith(TENANT.replace('timeoutMs: 100', "timeoutMs: 100, onFailure: 'open'"))
    const gateway = await startGateway({ config: fileWith(module, upstream.url, ', fails: hangs') })
    const passed = await send(gateway.port, { path: '/app', headers: { 'x-fail': 'yes' } })
    assert.deepEqual([passed.status, passed.text], [200, 'served'])
    await gateway.process.waitForLog('it', entry => entry['event'] === 'policy' && entry['failure'] === 'timed_out')
    await gateway.stop()
    await upstream.stop()
  })

  it('are checked with their own schema, and listed by routes, explain and schema', async () => {
    const { folder, module } = folderWith(TENANT)
    const file = join(folder, 'gateway.yaml')
    const run = (...args: readonly string[]): Promise<TestProcess> =>
      runProcess({
        name: 'myesi-gateway',
        path: process.execPath,
        args: [join(ROOT, 'bin/myesi-gateway.cjs'), ...args],
        env: plainEnvironment(),
      })
    const write = (text: string): void => writeFileSync(file, text)
    const good = fileWith('./policies/tenant.ts', 'http://127.0.0.1:9')
    write(good)
    assert.deepEqual((await run('check', file)).lines, [`${file} is valid: 2 routes, 1 upstream.`])
    assert.match((await run('routes', file)).lines.join('\n'), /tenant in x-tenant/)
    assert.match((await run('explain', '/app', '--file', file)).lines.join('\n'), /^policy +tenant in x-tenant$/m)

    for (const [what, text, problem] of [
      [
        'a wrong value',
        good.replace('header: x-tenant', 'header: 5'),
        /gateway\.yaml:6:\d+ routes\[0\]\.acme-tenant\.header/,
      ],
      ['a mistyped key', good.replace('acme-tenant', 'acme-tennant'), /did you mean: acme-tenant/],
      [
        'a missing module',
        good.replace('tenant.ts', 'missing.ts'),
        /gateway\.yaml:2:\d+ policies\[0\]\s+".*missing\.ts" is not there/,
      ],
      ['another file', good.replace('tenant.ts', 'tenant.py'), /policies\[0\]\s+".*" is not the name of a module/],
    ] as const) {
      write(text)
      const child = await run('check', file)
      assert.match(child.lines.join('\n'), problem, what)
      assert.equal(child.exit?.code, 78, what)
    }
    write(good)
    for (const [policy, problem] of [
      [
        TENANT.replace("name: 'acme-tenant'", "name: 'tenant'"),
        /defines "tenant", which is not a valid name of a policy/,
      ],
      [TENANT.replace('export default', 'const unused ='), /exports no policy/],
      [`${TENANT} !`, /cannot be loaded/],
    ] as const) {
      writeFileSync(module, policy)
      assert.match((await run('check', file)).lines.join('\n'), problem)
    }
  })
})

describe('Express middleware of a file', function () {
  this.timeout(60_000)

  it('is loaded, checked, shown, and reloaded on a change', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const middleware = (value: string): string =>
      `export default (_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void): void => {
        response.setHeader('x-by', '${value}')
        next()
      }`
    const { folder, module } = folderWith(middleware('one'))
    const config = (path: string): string => `
upstreams: { app: { targets: ['${upstream.url}'] } }
routes:
  - { name: app, match: { path: /app }, upstream: app, express: ${path} }
`
    const gateway = await startGateway({ config: config(module) })
    const by = async (): Promise<unknown> => (await send(gateway.port, '/app')).headers['x-by']
    assert.equal(await by(), 'one')
    const routes = await send(gateway.opsPort, { path: '/routes', headers: { accept: 'application/json' } })
    assert.match(routes.text, /Express middleware .*tenant\.ts/)
    writeFileSync(module, middleware('two'))
    await until(async () => (await by()) === 'two', { what: 'the new content runs' })
    writeFileSync(module, 'export default 5')
    await gateway.process.waitForLog('the refusal', entry => /no function/.test(String(entry['msg'])))
    assert.equal(await by(), 'two', 'the one before stays')

    // The file first and its module afterwards, as an editor or a copy may write them.
    const later = join(folder, 'policies/later.ts')
    writeFileSync(gateway.configFile, config(later))
    await gateway.process.waitForLog('the refusal', entry => /later\.ts" is not there/.test(String(entry['msg'])))
    writeFileSync(later, middleware('three'))
    await until(async () => (await by()) === 'three', { what: 'the module that was missing runs' })
    await gateway.stop()
    await upstream.stop()

    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, config('./policies/tenant.ts'))
    for (const [content, problem] of [
      ['export default 5', /gateway\.yaml:4:\d+ routes\[0\]\.express\s+.*has no function as its default export/],
      ['export default (error, request, response, next) => {}', /exports an error handler/],
      ["import express from 'express'\nexport default express()", /exports an app/],
      ['export default !', /cannot be loaded/],
    ] as const) {
      // The module of the package that the folder has is enough for `express`.
      writeFileSync(
        module,
        content.replace("'express'", JSON.stringify(pathToFileURL(require.resolve('express')).href)),
      )
      const child = await runProcess({
        name: 'myesi-gateway',
        path: process.execPath,
        args: [join(ROOT, 'bin/myesi-gateway.cjs'), 'check', file],
        env: plainEnvironment(),
      })
      assert.match(child.lines.join('\n'), problem)
      assert.equal(child.exit?.code, 78)
    }
  })
})

/** Blocks the event loop for `ms`, in the hook itself, after its first wait, or in the transform that it returns. */
const LOOP = `
import { definePolicy, z } from 'myesi-gateway'
import { Transform } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'

const MS = 3_000
function block(): void {
  const end = performance.now() + MS
  while (performance.now() < end);
}

export default definePolicy({
  name: 'acme-tenant',
  schema: z.strictObject({ header: z.string() }),
  timeoutMs: 10_000,
  create: () => ({
    async onRequest(context) {
      if (context.headers['x-loop'] === 'now') block()
      if (context.headers['x-loop'] !== 'later') return
      await wait(1)
      block()
    },
    onBody: context =>
      context.headers['x-loop'] === 'body'
        ? new Transform({ transform: (chunk, _encoding, done) => (block(), done(null, chunk)) })
        : undefined,
  }),
})
`

describe('a policy that blocks the event loop', function () {
  this.timeout(60_000)

  it('is named on standard error while it blocks, and counted and logged afterwards', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const { module } = folderWith(LOOP)
    // A gateway whose loop was blocked sheds for some seconds, which is not the subject here.
    const config = `entrypoint: { overload: { maxEventLoopDelay: 0s } }\n${fileWith(module, upstream.url)}`
    const gateway = await startGateway({ config })
    const blockedBy = async (loop: string, line: RegExp): Promise<void> => {
      const answered = send(gateway.port, { path: '/app', headers: { 'x-loop': loop } })
      let isOver = false
      void answered.then(() => (isOver = true))
      await gateway.process.waitForLine('the line on standard error', text => line.test(text))
      assert.equal(isOver, false, 'the line comes while the loop still stands')
      assert.equal((await answered).text, 'served')
    }
    await blockedBy('now', /^policy acme-tenant \(route app\) in onRequest has blocked the event loop for \d\.\d s/)
    await blockedBy('body', /^policy acme-tenant \(route app\) in transform has blocked the event loop/)
    await blockedBy('later', /policies with an unsettled promise: acme-tenant \(route app\)$/)

    const counted = async (): Promise<number | undefined> => {
      const { text } = await send(gateway.opsPort, '/metrics')
      const labels = { gateway_policy_name: 'acme-tenant', gateway_policy_failure: 'blocked_event_loop' }
      return sampleValue(parseExposition(text, 'text'), 'gateway_policy_failures_total', labels)
    }
    await until(async () => (await counted()) === 2, { what: 'the two that are certain are counted' })
    const line = await gateway.process.waitForLog('the log line', entry => entry['failure'] === 'blocked_event_loop')
    assert.partialDeepStrictEqual(line, { event: 'policy', policy: 'acme-tenant', route: 'app', phase: 'onRequest' })
    assert.ok(Number(line['blocked_ms']) >= 2_000)
    assert.deepEqual((await gateway.stop()).code, 0)
    await upstream.stop()
  })

  it('is the reason for a thread: a gateway without custom policies has none', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const { module } = folderWith(LOOP)
    const gateway = await startGateway({ config: fileWith(module, upstream.url) })
    const threads = (): number => readdirSync(`/proc/${gateway.process.pid}/task`).length
    if (process.platform === 'linux') {
      await send(gateway.port, '/plain')
      const before = threads()
      await send(gateway.port, '/app')
      await until(() => threads() > before, { what: 'the watch runs' })
    }
    await gateway.stop()
    await upstream.stop()
  })
})
