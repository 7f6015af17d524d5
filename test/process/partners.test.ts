import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join, resolve } from 'node:path'
import { listTraces, openTrace } from '../support/ops-port'
import { send, type Answer } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { plainEnvironment, runProcess, type TestProcess } from '../support/start-process'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** Compiled, this file is dist/test/process/partners.test.js. */
const ROOT = resolve(__dirname, '../../..')
const PROGRAM = join(ROOT, 'bin/myesi-gateway.cjs')

/** Returns the block of a page that contains a text: what a new user would copy. */
function documented(page: string, part: string): string {
  const blocks = readFileSync(join(ROOT, 'docs', page), 'utf8').matchAll(/```yaml\n(.*?)```/gs)
  const found = [...blocks].find(([, block]) => block?.includes(part))?.[1]
  assert.ok(found, `docs/${page} has no example with ${part}`)
  return found
}

function run(command: string, ...args: readonly string[]): Promise<TestProcess> {
  return runProcess({
    name: command,
    path: process.execPath,
    args: [PROGRAM, command, ...args],
    env: plainEnvironment({}),
  })
}

const ask = (gateway: RunningGateway, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  send(gateway.port, { path, headers })

describe('partners with keys and an external authorizer, from the documentation alone', () => {
  let orders: RunningUpstream
  let search: RunningUpstream
  let authz: RunningUpstream
  let gateway: RunningGateway
  let key: string
  let file: string

  before(async () => {
    orders = await startUpstream()
    search = await startUpstream()
    authz = await startUpstream(({ url, headers }, response) => {
      if (url === '/healthz') return void response.end()
      if (headers['x-forwarded-uri'] === '/api/orders/secret')
        return void response.writeHead(403).end('not in your contract')
      response.writeHead(200, { 'X-Partner-Contract': `${String(headers['x-consumer-name'])}-7` }).end()
    })
    const made = await run('hash-key', '--new')
    key = made.lines.map(line => /^key.*: (\S+)$/.exec(line)?.[1]).find(found => found !== undefined) ?? ''
    const line = made.lines.find(text => text.startsWith('apiKeys:')) ?? ''
    // The example of external authorization, with the shared limit of docs/rate-limits.md.
    const shared = /sharedLimits:\n.*\n/.exec(documented('rate-limits.md', 'partner-quota'))?.[0] ?? ''
    const text = documented('authentication.md', 'upstreams:\n  orders: { targets: [http://127.0.0.1:9001] }\n  authz:')
      .replace(/apiKeys: \[.*?\]/, line)
      .replace('http://127.0.0.1:9001', orders.url)
      .replace('http://127.0.0.1:9002', authz.url)
      .replace('consumers:', `${shared.replace('10000', '4').replace(/, tiers: .*?\}/, '')}consumers:`)
      .replace('upstream: orders\n', 'upstream: orders\n    sharedLimits: [partner-quota]\n')
      .replace('upstreams:\n', `upstreams:\n  search: { targets: ["${search.url}"] }\n`)
      .concat(
        '  - { name: search, match: { path: /api/search }, upstream: search, auth: { apiKey: {} }, sharedLimits: [partner-quota] }\n',
      )
    file = join(temporaryFolder(), 'gateway.yaml')
    writeFileSync(file, text)
    gateway = await startGateway({ config: text })
  })
  after(async () => {
    await gateway.stop()
    await Promise.all([orders.stop(), search.stop(), authz.stop()])
  })

  it('passes the check, and explain names the authorizer without asking it', async () => {
    const checked = await run('check', file)
    assert.equal((await checked.exited).code, 0, checked.lines.join('\n'))
    const asked = authz.requests.length
    const explained = await run('explain', '--file', file, '--header', `x-api-key: ${key}`, 'GET', '/api/orders/1')
    const output = explained.lines.join('\n')
    assert.match(output, /API key \(header x-api-key\); this is acme/)
    assert.match(output, /external authorization by upstream authz, \/verify \(within 1s\)/)
    assert.match(output, /4 per 1d by consumer \(shared: partner-quota\)/)
    assert.ok(!authz.requests.slice(asked).some(({ url }) => url !== '/healthz'))
  })

  it('admits a partner with a key, and the upstream gets what the authorizer says', async () => {
    assert.equal((await ask(gateway, '/api/orders/1')).status, 401)
    const answer = await ask(gateway, '/api/orders/1', { 'x-api-key': key, 'x-partner-contract': 'forged' })
    assert.equal(answer.status, 200)
    assert.match(String(answer.headers['ratelimit']), /^"partner-quota"; r=3;/)
    assert.partialDeepStrictEqual(orders.requests.at(-1)?.headers, {
      'x-consumer-name': 'acme',
      'x-partner-contract': 'acme-7',
    })
  })

  it('passes a refusal of the authorizer on, with a span of its own in the trace', async () => {
    const answer = await ask(gateway, '/api/orders/secret', { 'x-api-key': key })
    assert.deepEqual([answer.status, answer.text], [403, 'not in your contract'])
    const line = await gateway.process.waitForLog('"reason":"forbidden"', ({ reason }) => reason === 'forbidden')
    assert.equal(line['consumer'], 'acme')
    const routes = (await (
      await fetch(`${gateway.opsUrl}/routes`, { headers: { accept: 'application/json' } })
    ).json()) as {
      routes: readonly { name: string; auth: unknown }[]
    }
    assert.partialDeepStrictEqual(routes.routes.find(({ name }) => name === 'orders')?.auth, { external: 'authz' })
  })

  it('counts all routes of a partner towards one limit', async () => {
    const statuses: number[] = []
    for (const path of ['/api/search', '/api/orders/1', '/api/search', '/api/orders/1'])
      statuses.push((await ask(gateway, path, { 'x-api-key': key })).status)
    // The refused order was not counted: the authorizer is asked before the limits of consumers.
    assert.deepEqual(statuses, [200, 200, 200, 429])
  })

  it('refuses requests while the authorizer is away, and says so in log, metrics and trace', async () => {
    await authz.stop()
    const answer = await ask(gateway, '/api/orders/1', { 'x-api-key': key })
    assert.equal(answer.status, 503)
    assert.match(answer.text, /"reason":"authorizer_unavailable"/)
    await gateway.process.waitForLog(
      '"reason":"authorizer_unavailable"',
      ({ reason }) => reason === 'authorizer_unavailable',
    )
    const metrics = await (await fetch(`${gateway.opsUrl}/metrics`)).text()
    const sample = /gateway_external_auth_requests_total\{[^}]*gateway_external_auth_result="failed"[^}]*\} 1\b/
    assert.match(metrics, sample)
    let traceId: string | undefined
    await until(
      async () => {
        traceId = (await listTraces(gateway.opsUrl)).find(({ reason }) => reason === 'authorizer_unavailable')?.traceId
        return traceId !== undefined
      },
      { what: 'the trace is kept' },
    )
    const spans = (await openTrace(gateway.opsUrl, traceId ?? '')) ?? []
    const check = spans.find(({ attributes }) => attributes['gateway.upstream.name'] === 'authz')
    assert.equal(check?.kind, 3)
    assert.equal(check.attributes['url.full'], `${authz.url}/verify`)
    assert.equal(check.attributes['error.type'], 'connect_refused')
    const server = spans.find(({ kind }) => kind === 2)
    assert.equal(server?.attributes['gateway.external_auth.result'], 'failed')
    assert.equal(check.parentSpanId, server.spanId)
  })
})

describe('a sign-in with oauth2-proxy, from the documentation alone', () => {
  let site: RunningUpstream
  let proxy: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    site = await startUpstream(({ url }, response) => response.end(`page ${url}`))
    proxy = await startStandIn()
    const text = documented('authentication.md', 'signIn: /oauth2/sign_in')
      .replace('http://127.0.0.1:9001', site.url)
      .replace('http://127.0.0.1:4180', proxy.url)
    gateway = await startGateway({ config: text })
  })
  after(async () => {
    await gateway.stop()
    await Promise.all([site.stop(), proxy.stop()])
  })

  it('sends a browser to the form and back to its page, and a script gets 401', async () => {
    const first = await ask(gateway, '/page?a=1&b=2', { accept: 'text/html' })
    assert.equal(first.status, 302)
    assert.equal(first.headers.location, '/oauth2/sign_in?rd=%2Fpage%3Fa%3D1%26b%3D2')
    assert.equal((await ask(gateway, '/page', { accept: 'application/json' })).status, 401)
    assert.equal(site.requests.length, 0)

    const form = await ask(gateway, first.headers.location)
    assert.match(form.text, /name="rd" value="\/page\?a=1&amp;b=2"/)
    const signedIn = await send(gateway.port, {
      method: 'POST',
      path: '/oauth2/sign_in',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ username: 'alice', password: 'wonderland', rd: '/page?a=1&b=2' }).toString(),
    })
    assert.deepEqual([signedIn.status, signedIn.headers.location], [302, '/page?a=1&b=2'])
    const [cookie = ''] = signedIn.headers['set-cookie']?.[0]?.split(';') ?? []

    const page = await ask(gateway, '/page?a=1&b=2', { accept: 'text/html', cookie, 'x-auth-request-user': 'root' })
    assert.deepEqual([page.status, page.text], [200, 'page /page?a=1&b=2'])
    assert.partialDeepStrictEqual(site.requests.at(-1)?.headers, {
      'x-auth-request-user': 'alice',
      'x-consumer-name': 'external/alice',
    })
    assert.equal(site.requests.at(-1)?.headers['x-auth-request-email'], undefined)
  })
})

/** Answers as oauth2-proxy 7.15 does with a password file: /oauth2/auth 202 or 401, a form, a session cookie. */
function startStandIn(): Promise<RunningUpstream> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://proxy')
    if (url.pathname === '/ping') return void response.end('OK')
    if (url.pathname === '/oauth2/auth') {
      if (!request.headers.cookie?.includes('_oauth2_proxy=session-of-alice')) {
        return void response.writeHead(401, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Unauthorized\n')
      }
      return void response.writeHead(202, { 'X-Auth-Request-User': 'alice' }).end('Accepted')
    }
    if (request.method === 'POST') {
      const form = new URLSearchParams((await bodyOf(request)).toString())
      if (form.get('password') !== 'wonderland') return void response.writeHead(401).end()
      const cookie = '_oauth2_proxy=session-of-alice; Path=/; HttpOnly'
      return void response.writeHead(302, { Location: form.get('rd') ?? '/', 'Set-Cookie': cookie }).end()
    }
    const rd = (url.searchParams.get('rd') ?? '/').replaceAll('&', '&amp;')
    response.end(`<form method="POST" action="/oauth2/sign_in"><input type="hidden" name="rd" value="${rd}"></form>`)
  }
  return startUpstream((request, response) => void answer(request, response))
}
