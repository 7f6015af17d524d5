import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { askRedis } from '../support/ask-redis'
import { createAuthority, type Authority, type Certificate } from '../support/certificates'
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
import { until } from '../support/until'

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

  it('is used with the authority of NODE_EXTRA_CA_CERTS', async () => {
    const { port, logs } = await start({ NODE_EXTRA_CA_CERTS: authority })
    const { status, headers } = await send(port, '/app')
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, undefined])
    assert.ok(logs.some(({ event }) => event === 'redis_available'))
  })

  it('is found through sentinels that speak TLS only, and used', async () => {
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

  it('is used with the authority of REDIS_TLS_CA_FILE', async () => {
    const { port, logs } = await start({ REDIS_TLS_CA_FILE: authority })
    const { status, headers } = await send(port, '/app')
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, undefined], JSON.stringify(logs))
  })

  describe('that requires client certificates and has a certificate for a name only', () => {
    let strict: RunningRedis
    let trusted: Authority
    let client: Certificate
    let port: number

    before(async () => {
      trusted = createAuthority('Redis Authority')
      client = trusted.issue('gateway')
      const { certFile, keyFile } = trusted.issue('localhost')
      port = await freePort()
      const tls = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', trusted.certFile]
      // The node announces itself by its address, which its certificate does not cover.
      const announced = ['--cluster-announce-ip', '127.0.0.1']
      const cluster = [
        '--cluster-enabled',
        'yes',
        '--tls-cluster',
        'yes',
        ...announced,
        '--cluster-port',
        `${await freePort()}`,
      ]
      strict = await startRedis(['--tls-port', `${port}`, ...tls, '--tls-auth-clients', 'yes', ...cluster])
      await askRedis(strict.url, node => node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383'))
      await until(
        () => askRedis(strict.url, async node => /state:ok/.test(String(await node.call('CLUSTER', 'INFO')))),
        {
          what: 'the cluster is whole',
          timeoutMs: 20_000,
        },
      )
    })
    after(async () => {
      await strict.kill()
    })

    const shown = (): NodeJS.ProcessEnv => ({
      REDIS_TLS_CA_FILE: trusted.certFile,
      REDIS_TLS_CERT_FILE: client.certFile,
      REDIS_TLS_KEY_FILE: client.keyFile,
    })

    for (const scheme of ['rediss', 'rediss+cluster']) {
      it(`is reached by that name and gets the configured client certificate: ${scheme}`, async () => {
        const gateway = await start({ REDIS_URL: `${scheme}://localhost:${port}`, ...shown() })
        await gateway.process.waitForLog('Redis is used', ({ event }) => event === 'redis_available')
        const { status, headers } = await send(gateway.port, '/app')
        assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, undefined], JSON.stringify(gateway.logs))
      })

      it(`is unavailable without a certificate or with another server name, and the log shows why: ${scheme}`, async () => {
        for (const [env, reason] of [
          [{ REDIS_TLS_CA_FILE: trusted.certFile }, /SSL|TLS|CERT/],
          [{ ...shown(), REDIS_URL: `${scheme}://127.0.0.1:${port}` }, /ERR_TLS_CERT_ALTNAME_INVALID/],
        ] as const) {
          const { opsUrl } = await start({ REDIS_URL: `${scheme}://localhost:${port}`, ...env })
          await until(async () => reason.test(JSON.stringify(await redisOnStatusPage(opsUrl))), {
            what: `the reason ${String(reason)}`,
          })
          const metrics = await (await fetch(`${opsUrl}/metrics`)).text()
          assert.match(metrics, /^gateway_redis_unavailable\{[^}]*error_type="tls"[^}]*\} 1$/m)
          await gateway?.stop()
        }
      })
    }

    async function redisOnStatusPage(opsUrl: string): Promise<unknown> {
      const answer = await fetch(`${opsUrl}/status`, { headers: { accept: 'application/json' } })
      return ((await answer.json()) as { redis: unknown }).redis
    }
  })

  it('is rejected without its authority: requests are served, and the log shows why', async () => {
    const { port, process } = await start({})
    const { status, headers } = await send(port, '/app')
    assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, 'local'])
    const { reason } = await process.waitForLog('the reason', ({ event }) => event === 'redis_unavailable')
    assert.match(String(reason), /CERT/)
  })
})
