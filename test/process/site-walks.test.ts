import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startWebSocketUpstream, type WebSocketUpstream } from '../support/web-sockets'

const PAGE = readFileSync(join(__dirname, '../../../docs/sites.md'), 'utf8')
const FILES = [...PAGE.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, code = '']) => code)

/** The file of a section of docs/sites.md, with the ports of the test. */
function fileOf(section: number, ports: Readonly<Record<number, number>>): string {
  return (FILES[section] ?? '').replaceAll(
    /127\.0\.0\.1:(\d+)/g,
    (_all, port: string) => `127.0.0.1:${ports[Number(port)]}`,
  )
}

describe('a web site, its API and its WebSocket, with the file of docs/sites.md', () => {
  let pages: RunningUpstream
  let api: RunningUpstream
  let live: WebSocketUpstream
  let gateway: RunningGateway
  const host = 'shop.example'
  const ask = (path: string, more: { method?: string; body?: string; cookie?: string } = {}) =>
    send(gateway.port, {
      path,
      method: more.method ?? 'GET',
      headers: { host, cookie: more.cookie ?? '' },
      ...(more.body !== undefined && { body: more.body }),
    })

  before(async () => {
    pages = await startUpstream((request, response) => void answerPage(request, response))
    api = await startUpstream((request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ path: request.url, prefix: request.headers['x-forwarded-prefix'] }))
    })
    live = await startWebSocketUpstream()
    gateway = await startGateway({ config: fileOf(0, { 3000: pages.port, 3001: api.port, 3002: live.port }) })
  })
  after(async () => {
    await gateway.stop()
    await Promise.all([pages, api, live].map(upstream => upstream.stop()))
  })

  it('serves its pages from /, and its own 404', async () => {
    const answer = await ask('/')
    assert.equal(answer.status, 200)
    assert.match(answer.text, /sign in/)
    const missing = await ask('/no/such/page')
    assert.deepEqual([missing.status, missing.text], [404, 'from the site'])
    assert.equal((await ask('/api-docs')).text, 'from the site')
  })

  it('signs in: the redirect and the cookie are for the name that the client asked for', async () => {
    const answer = await ask('/login', { method: 'POST', body: 'user=alice' })
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.location, `http://${host}/account`)
    const [cookie = ''] = answer.headers['set-cookie'] ?? []
    assert.ok(!cookie.includes('127.0.0.1'), cookie)
    assert.equal((await ask('/account')).status, 401)
    const account = await ask('/account', { cookie: cookie.split(';')[0] ?? '' })
    assert.equal(account.text, 'account of alice')
  })

  it('answers its API below /api, with the limit of that route only', async () => {
    const answer = await ask('/api/orders?limit=1')
    assert.deepEqual(JSON.parse(answer.text), { path: '/orders?limit=1', prefix: '/api' })
    assert.match(String(answer.headers.ratelimit), /r=99/)
    assert.equal((await ask('/')).headers.ratelimit, undefined)
  })

  it('opens its WebSocket', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/live?room=1`, { headers: { host } })
    await once(socket, 'open')
    socket.send('hello')
    const [message] = (await once(socket, 'message')) as [Buffer]
    assert.equal(message.toString(), 'hello')
    assert.equal(live.handshakes[0]?.url, '/live?room=1')
    socket.close()
    await once(socket, 'close')
  })
})

describe('a service with %2F in its paths, with the file of docs/sites.md', () => {
  let git: RunningUpstream
  let npm: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    git = await startUpstream((request, response) => {
      const [, project] = /^\/api\/v4\/projects\/([^/?]+)/.exec(request.url ?? '') ?? []
      if (project === undefined) return response.end('home')
      const name = decodeURIComponent(project)
      return response.end(JSON.stringify({ name, clone: `http://${request.headers.host}/${name}.git` }))
    })
    npm = await startUpstream((request, response) => response.end(request.url))
    gateway = await startGateway({ config: fileOf(1, { 3000: git.port, 3001: npm.port }) })
  })
  after(async () => {
    await gateway.stop()
    await Promise.all([git, npm].map(upstream => upstream.stop()))
  })

  const ask = (path: string) => send(gateway.port, { path, headers: { host: 'git.example' } })

  it('finds projects by their path, with links to the name that the client asked for', async () => {
    const answer = await ask('/api/v4/projects/group%2Fsub%2Fname/issues?state=opened')
    assert.equal(answer.status, 200)
    const name = 'group/sub/name'
    assert.deepEqual(JSON.parse(answer.text), { name, clone: `http://git.example/${name}.git` })
    assert.equal(git.requests.at(-1)?.url, '/api/v4/projects/group%2Fsub%2Fname/issues?state=opened')
  })

  it('installs scoped packages, escapes in their case', async () => {
    assert.equal((await ask('/npm/@scope%2fname')).text, '/@scope%2fname')
    assert.equal((await ask('/npm/@scope%2Fname/-/name-1.0.0.tgz')).text, '/@scope%2Fname/-/name-1.0.0.tgz')
  })

  it('serves its pages from /', async () => {
    assert.equal((await ask('/')).text, 'home')
  })
})

/** A shop that signs people in by a cookie, and makes its links from `Host`. */
async function answerPage(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const own = request.headers.host ?? ''
  if (request.url === '/') return response.setHeader('content-type', 'text/html').end('<a href="/login">sign in</a>')
  if (request.url === '/login') {
    const user = new URLSearchParams((await bodyOf(request)).toString()).get('user') ?? ''
    const cookie = `session=${user}; Path=/; HttpOnly; Domain=${own.replace(/:\d+$/, '')}`
    return response.writeHead(303, { location: `http://${own}/account`, 'set-cookie': cookie }).end()
  }
  if (request.url === '/account' && /session=\w+/.test(request.headers.cookie ?? '')) {
    return response.end(`account of ${/session=(\w+)/.exec(request.headers.cookie ?? '')?.[1]}`)
  }
  return response.writeHead(request.url === '/account' ? 401 : 404).end('from the site')
}
