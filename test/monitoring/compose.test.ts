import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { INCIDENT_VARIABLES, VARIABLES } from '../../src/config/variable-names'
import { GATEWAYS_BY_NAME } from '../../tools/stack/monitoring-copy'
import { ROOT, read, readYaml } from './monitoring-files'

interface Service {
  readonly image: string
  readonly user?: string
  readonly read_only?: boolean
  readonly mem_limit?: string
  readonly pids_limit?: number
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly ports?: readonly string[]
  readonly profiles?: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly command?: readonly string[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { condition: string }>> | readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { file: string }>>
}

const TEXT = read('docker-compose.yml')
// merge: the file shares settings by `<<`, which YAML 1.2 left out.
const { services, secrets } = parse(TEXT, { merge: true }) as Compose
const all = Object.entries(services)

describe('docker-compose.yml', () => {
  it('has the services of the contract on the ports of the contract', () => {
    const published = all.flatMap(([name, { ports = [] }]) => ports.map(port => `${name} ${port.split(':').at(-2)}`))
    for (const wanted of [
      // Its port is the one of all replicas.
      'balancer 8000',
      'redis 6379',
      'redis-exporter 9121',
      'prometheus 9090',
      'alertmanager 9093',
      'grafana 3000',
    ]) {
      assert.ok(published.includes(wanted), wanted)
    }
  })

  it('opens the gateway alone to other machines', () => {
    const open = all.flatMap(([, { ports = [] }]) => ports.filter(port => !port.startsWith('127.0.0.1:')))
    assert.deepEqual(open, ['8000:8000'])
  })

  it('starts the Collector and Jaeger only when asked to', () => {
    const optional = all.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name)
    assert.deepEqual(optional, ['otel-collector', 'jaeger'])
    for (const name of optional) assert.deepEqual(services[name]?.profiles, ['collector'])
  })

  for (const [name, service] of all) {
    describe(`service ${name}`, () => {
      it('runs a full version of its image, not whatever is newest', () => {
        if (service.image.startsWith('myesi-gateway:')) return
        assert.match(service.image, /:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?$/)
      })

      it('runs as an ordinary user without extra rights, and cannot write to its image', () => {
        assert.match(service.user ?? '', /^[1-9]\d*:\d+$/)
        assert.equal(service.read_only, true)
        assert.deepEqual(service.cap_drop, ['ALL'])
        assert.deepEqual(service.security_opt, ['no-new-privileges:true'])
      })

      it('can be asked whether it is well, so that `up --wait` knows', () => {
        // Images of the collector profile hold one program and nothing that could ask it.
        if (service.profiles !== undefined) return
        assert.equal(service.healthcheck?.test[0], 'CMD', 'as a list: there may be no shell')
      })

      it('mounts only what is there, and nothing that it could change', () => {
        for (const volume of (service.volumes ?? []).filter(path => path.startsWith('.'))) {
          assert.ok(volume.endsWith(':ro'), volume)
          assert.ok(existsSync(join(ROOT, volume.split(':')[0] ?? '')), volume)
        }
      })

      it('waits for what it needs to be healthy, where that can be asked', () => {
        const needed = service.depends_on ?? {}
        if (Array.isArray(needed)) return
        for (const [other, { condition }] of Object.entries(needed as Record<string, { condition: string }>)) {
          assert.ok(services[other] !== undefined, other)
          // The exporter has to run while Redis does not: to say so.
          const wanted = name === 'redis-exporter' ? 'service_started' : 'service_healthy'
          assert.equal(condition, wanted, other)
        }
      })
    })
  }

  it('holds no secret: files say them, and those in the repository lead to the catchers', () => {
    assert.doesNotMatch(TEXT, /hooks\.slack\.com|(password|token|secret)[a-z_]*: *['"]?[A-Za-z0-9+/]{12,}/i)
    for (const [name, { file }] of Object.entries(secrets)) {
      const [, variable, otherwise = ''] = /^\$\{([A-Z_]+):-(.+)\}$/.exec(file) ?? []
      assert.equal(variable, `${name.toUpperCase()}_FILE`)
      assert.ok(existsSync(join(ROOT, otherwise)), otherwise)
    }
    assert.equal(read('monitoring/catcher/slack_api_url').trim(), 'http://slack-catcher:8026/')
    assert.deepEqual(services['alertmanager']?.secrets, Object.keys(secrets))
  })

  it('gives gateway and incident service what .env says, but for what its own containers and ports decide', () => {
    const decided = {
      gateway: 'PORT HOST OPS_PORT OPS_HOST REDIS_URL DEMO_UPSTREAM_URL GATEWAY_CONFIG'.split(' '),
      incidents: 'INCIDENTS_PORT INCIDENTS_HOST PROMETHEUS_URL ALERTMANAGER_URLS REDIS_URL'.split(' '),
    }
    const incidents: readonly string[] = Object.values(INCIDENT_VARIABLES)
    // The first two come after OPS_PORT and OPS_HOST, the third is for incidents without Redis, and the Redis of compose
    // has neither sentinels nor TLS. The last ones name files, which have to be mounted first; the Prometheus and Alertmanager
    // of compose want no credentials.
    const unused = [
      'OTEL_EXPORTER_PROMETHEUS_PORT',
      'OTEL_EXPORTER_PROMETHEUS_HOST',
      'INCIDENTS_FOLDER',
      'REDIS_SENTINEL_USERNAME',
      'REDIS_SENTINEL_PASSWORD',
      'REDIS_TLS_CA_FILE',
      'REDIS_TLS_CERT_FILE',
      'REDIS_TLS_KEY_FILE',
      'OTEL_CONFIG_FILE',
      // Each replica has its own address.
      'OPS_PUBLIC_URL',
      'PROMETHEUS_HTTP_CONFIG',
      'ALERTMANAGER_HTTP_CONFIG',
      'JAEGER_HTTP_CONFIG',
      'TEMPO_HTTP_CONFIG',
      'LOGS_HTTP_CONFIG',
    ]
    const names = [...read('.env.example').matchAll(/^#([A-Z][A-Z0-9_]*)=/gm)].map(([, name = '']) => name)
    assert.ok(names.length > 40)
    for (const name of names.filter(name => !unused.includes(name))) {
      const ours = incidents.includes(name)
      const others =
        !ours ||
        Object.values(VARIABLES)
          .flat()
          .includes(name as never)
      const both = name.startsWith('OTEL_') && name !== 'OTEL_SERVICE_NAME'
      if (others) hasFromDotEnv('gateway', name)
      if (ours || both) hasFromDotEnv('incidents', name)
    }

    function hasFromDotEnv(service: 'gateway' | 'incidents', name: string): void {
      const environment = services[service]?.environment ?? {}
      assert.ok(name in environment, `${service}: ${name}`)
      const value = environment[name]
      if (decided[service].includes(name)) assert.ok(value && !value.includes('$'), `${service} decides ${name}`)
      else assert.ok(value === null || value?.startsWith(`\${${name}:-`), `${service} takes ${name}`)
    }
  })

  it('bounds the memory and the processes of every service', () => {
    for (const [name, { mem_limit: memory, pids_limit: processes }] of all) {
      assert.match(memory ?? '', /^\d+[mg]$/, name)
      assert.ok(processes !== undefined && processes > 0, name)
    }
  })

  it('can run several gateways: each has a host port, clients come through the balancer, and Prometheus finds all', () => {
    assert.deepEqual(services['gateway']?.ports, ['127.0.0.1:9464-9473:9464'])
    const balancer = read('deploy/compose/haproxy.cfg')
    assert.match(balancer, /server-template gateway 10 gateway:8000 check port 9464 /)
    assert.ok(read('monitoring/prometheus.yml').includes(GATEWAYS_BY_NAME))
  })

  it('gives the Collector every variable of its configuration, but for its ports and folders', () => {
    const environment = services['otel-collector']?.environment ?? {}
    const text = read('otel/collector/collector.yaml')
    const names = new Set([...text.matchAll(/\$\{env:([A-Z0-9_]+)/g)].map(([, name = '']) => name))
    const missing = [...names].filter(name => !(name in environment) && !/_PORT$|_DIR$/.test(name))
    assert.deepEqual(missing, [])
  })

  it('gives Redis a limit of memory and never lets it drop a counter', () => {
    const command = services['redis']?.command?.join(' ') ?? ''
    assert.match(command, /--maxmemory \d+mb/)
    assert.match(command, /--maxmemory-policy noeviction/)
  })

  it('lets Prometheus keep exemplars, for which its configuration makes room', () => {
    assert.ok(services['prometheus']?.command?.includes('--enable-feature=exemplar-storage'))
    const { storage } = readYaml('monitoring/prometheus.yml') as { storage: { exemplars: { max_exemplars: number } } }
    assert.ok(storage.exemplars.max_exemplars >= 10_000)
  })

  it('names every service that Prometheus scrapes as it is named there', () => {
    interface Job {
      readonly static_configs?: readonly { targets: readonly string[] }[]
      readonly dns_sd_configs?: readonly { names: readonly string[] }[]
    }
    const { scrape_configs: jobs } = readYaml('monitoring/prometheus.yml') as { scrape_configs: readonly Job[] }
    const hosts = jobs.flatMap(job => [
      ...(job.static_configs ?? []).flatMap(({ targets }) => targets.map(target => target.split(':')[0] ?? '')),
      ...(job.dns_sd_configs ?? []).flatMap(({ names }) => names),
    ])
    assert.deepEqual(
      hosts.filter(host => host !== 'localhost' && !(host in services)),
      [],
    )
  })
})
