import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary } from '../../tools/stack/binaries'
import { sendWith } from '../../src/incidents/backends/backend'
import { readHttpConfig } from '../../src/incidents/backends/http-config'
import { incidentsPlan } from '../../tools/stack/components'
import { createAuthority } from '../support/certificates'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { startPlanned } from '../support/start-planned'
import { startProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** The password and its bcrypt hash, as web.config.file wants it. */
const PASSWORD = 'not-a-secret'
const HASH = '$2b$04$abcdefghijklmnopqrstuukiPfWbK4Chx2wQkrCBcuNQWm8D.wM3i'

describe('the incident service with a Prometheus and an Alertmanager behind TLS, a client certificate and a password', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  const started: TestProcess[] = []
  let prometheusPort: number
  let alertmanagerPort: number

  before(needs('prometheus', 'alertmanager'))

  before(async () => {
    const authority = createAuthority('Monitoring')
    const server = authority.issue('localhost')
    const client = authority.issue('incidents')
    const write = (name: string, content: object | string): string => {
      const path = join(folder, name)
      // JSON is YAML too.
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
      return path
    }
    const web = write('web.yml', {
      tls_server_config: {
        cert_file: server.certFile,
        key_file: server.keyFile,
        client_auth_type: 'RequireAndVerifyClientCert',
        client_ca_file: authority.certFile,
      },
      basic_auth_users: { incidents: HASH },
    })
    write('password', `${PASSWORD}\n`)
    const tls = {
      ca_file: authority.certFile,
      cert_file: client.certFile,
      key_file: client.keyFile,
      server_name: 'localhost',
    }
    write('http.yml', { basic_auth: { username: 'incidents', password_file: 'password' }, tls_config: tls })
    write('wrong.yml', { basic_auth: { username: 'incidents', password: 'guessed' }, tls_config: tls })
    write('no-certificate.yml', {
      basic_auth: { username: 'incidents', password: PASSWORD },
      tls_config: { ca_file: authority.certFile, server_name: 'localhost' },
    })
    ;[prometheusPort = 0, alertmanagerPort = 0] = await Promise.all([freePort(), freePort()])
    const listen = (port: number): string[] => [`--web.listen-address=127.0.0.1:${port}`, `--web.config.file=${web}`]
    mkdirSync(join(folder, 'data'))
    started.push(
      startProcess({
        name: 'prometheus',
        path: (await findBinary('prometheus')).path,
        args: [
          `--config.file=${write('prometheus.yml', { global: {} })}`,
          `--storage.tsdb.path=${join(folder, 'data/prometheus')}`,
          ...listen(prometheusPort),
        ],
      }),
      startProcess({
        name: 'alertmanager',
        path: (await findBinary('alertmanager')).path,
        args: [
          `--config.file=${write('alertmanager.yml', { route: { receiver: 'none' }, receivers: [{ name: 'none' }] })}`,
          `--storage.path=${join(folder, 'data/alertmanager')}`,
          '--cluster.listen-address=',
          ...listen(alertmanagerPort),
        ],
      }),
    )
    const send = sendWith(readHttpConfig(join(folder, 'http.yml')).config)
    for (const port of [prometheusPort, alertmanagerPort]) {
      const isReady = async (): Promise<boolean> =>
        send(`https://127.0.0.1:${port}/-/ready`, { signal: AbortSignal.timeout(5_000) }).then(
          ({ ok }) => ok,
          () => false,
        )
      await until(isReady, { what: `port ${port} is ready`, timeoutMs: 30_000 })
    }
  })

  after(async () => {
    await Promise.all(started.map(async child => child.kill()))
  })

  /** A service with these credentials that was posted an alert, and what it could not find out about it. */
  async function askedWith(httpConfig: string): Promise<{ service: TestProcess; missing: readonly string[] }> {
    const path = join(folder, httpConfig)
    const port = await freePort()
    const ports = { prometheus: prometheusPort, alertmanager: alertmanagerPort }
    const plan = incidentsPlan(port, ports, { INCIDENTS_FOLDER: temporaryFolder() })
    const env = {
      ...plan.env,
      PROMETHEUS_URL: `https://127.0.0.1:${prometheusPort}`,
      PROMETHEUS_HTTP_CONFIG: path,
      ALERTMANAGER_URLS: `https://127.0.0.1:${alertmanagerPort}`,
      ALERTMANAGER_HTTP_CONFIG: path,
    }
    const service = await startPlanned({ ...plan, env })
    started.push(service)
    const labels = { alertname: 'GatewayHttp500Spike', component: 'gateway', family: 'faults', job: 'myesi-api' }
    const posted = await fetch(`http://127.0.0.1:${port}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations: {}, startsAt: new Date().toISOString() }]),
    })
    assert.equal(posted.status, 200)
    const entry = await service.waitForLog('evidence', ({ event }) => event === 'evidence')
    return { service, missing: entry['missing'] as readonly string[] }
  }

  it('queries the one and posts to the other', async () => {
    const { missing } = await askedWith('http.yml')
    assert.deepEqual(missing, [])
    const send = sendWith(readHttpConfig(join(folder, 'http.yml')).config)
    const arrived = async (): Promise<boolean> => {
      const url = `https://127.0.0.1:${alertmanagerPort}/api/v2/alerts`
      const response = await send(url, { signal: AbortSignal.timeout(5_000) })
      const [alert] = (await response.json()) as { annotations: Record<string, string> }[]
      return alert?.annotations['incident_url'] !== undefined
    }
    await until(arrived, { what: 'Alertmanager took the alert' })
  })

  it('says that a password is wrong', async () => {
    const { service, missing } = await askedWith('wrong.yml')
    assert.ok(
      missing.some(text => text.includes('Prometheus answered 401')),
      missing.join('\n'),
    )
    await service.waitForLog('trouble', ({ event, error }) => event === 'trouble' && String(error).startsWith('401'))
  })

  it('is refused without its client certificate', async () => {
    const { missing } = await askedWith('no-certificate.yml')
    assert.ok(missing.length > 0)
  })
})
