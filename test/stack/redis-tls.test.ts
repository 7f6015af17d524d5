import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../support/free-port'
import { makeCertificate } from '../support/make-certificate'
import { needs } from '../support/needs'
import { send } from '../support/send'
import { proxyTo } from '../support/start-pipeline'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { MASTER, startSentinel } from '../support/start-redis-topologies'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

describe('Redis behind TLS', () => {
  let upstream: RunningUpstream
  let redis: RunningRedis
  let gateway: RunningGateway | undefined
  let url: string
  let authority: string
  let files: string[]

  before(needs('redis-server'))
  before(async () => {
    upstream = await startUpstream()
    const { certificate, key } = makeCertificate()
    const folder = temporaryFolder()
    authority = join(folder, 'certificate.pem')
    const keyFile = join(folder, 'key.pem')
    writeFileSync(authority, certificate)
    writeFileSync(keyFile, key)
    const port = await freePort()
    files = ['--tls-cert-file', authority, '--tls-key-file', keyFile, '--tls-ca-cert-file', authority]
    redis = await startRedis(['--tls-port', `${port}`, ...files, '--tls-auth-clients', 'no'])
    url = `rediss://127.0.0.1:${port}`
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  after(async () => {
    await redis.kill()
    await upstream.stop()
  })

  async function start(env: NodeJS.ProcessEnv): Promise<RunningGateway> {
    const config = JSON.stringify(proxyTo(upstream.url, { route: { rateLimit: { limit: 100, window: '10m' } } }))
    gateway = await startGateway({ config, env: { REDIS_URL: url, ...env } })
    return gateway
  }

  it('is used with the authority that NODE_EXTRA_CA_CERTS names', async () => {
    const { port, logs } = await start({ NODE_EXTRA_CA_CERTS: authority })
    const { status, headers } = await send(port, '/app')
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, undefined])
    assert.ok(logs.some(({ event }) => event === 'redis_available'))
  })

  it('is found by sentinels that speak TLS only, and used', async () => {
    const settings = ['cert', 'key', 'ca-cert'].map((name, i) => `tls-${name}-file ${files[2 * i + 1]}`)
    const tlsPort = Number(new URL(url).port)
    const more = { tls: true, quorum: 1, settings: [...settings, 'tls-auth-clients no'] }
    const sentinel = await startSentinel(tlsPort, more)
    const { port, logs } = await start({
      REDIS_URL: `rediss+sentinel://127.0.0.1:${sentinel.port}/${MASTER}`,
      NODE_EXTRA_CA_CERTS: authority,
    })
    const { status, headers } = await send(port, '/app')
    await sentinel.process.kill()
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, undefined], JSON.stringify(logs))
  })

  it('is not believed without its authority: requests are served, and the log says why', async () => {
    const { port, process } = await start({})
    const { status, headers } = await send(port, '/app')
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, 'local'])
    const { reason } = await process.waitForLog('the reason', ({ event }) => event === 'redis_unavailable')
    assert.match(String(reason), /CERT/)
  })
})
