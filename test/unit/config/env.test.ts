import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { readSettings, type Environment } from '../../../src/config/env'
import { createAuthority } from '../../support/certificates'
import type { ConfigProblem, Settings } from '../../../src/config/types'

const DEFAULTS: Settings = {
  port: 8000,
  host: '0.0.0.0',
  opsPort: 9464,
  opsHost: '127.0.0.1',
  opsPublicUrl: undefined,
  incidentsUrl: undefined,
  opsToken: undefined,
  opsAllowedHosts: [],
  redisUrl: undefined,
  redisSentinelUsername: undefined,
  redisSentinelPassword: undefined,
  redisTlsCaFile: undefined,
  redisTlsCertFile: undefined,
  redisTlsKeyFile: undefined,
  redisTimeoutMs: 200,
  replicas: 1,
  workers: 1,
  configFile: 'gateway.yaml',
  configWatch: true,
  logLevel: 'info',
  metricsToken: undefined,
  telemetryRequired: false,
  shutdownTimeoutMs: 10_000,
  shutdownDelayMs: 0,
}

function settingsOf(env: Environment): Settings {
  const { settings, problems } = readSettings(env)
  assert.deepEqual(problems, [])
  assert.ok(settings)
  return settings
}

function refused(env: Environment): readonly ConfigProblem[] {
  const { settings, problems } = readSettings(env)
  assert.equal(settings, undefined)
  return problems
}

describe('settings from the environment', () => {
  it('have defaults', () => {
    assert.deepEqual(settingsOf({}), DEFAULTS)
  })

  it('have the same defaults where variables are empty', () => {
    const names = ['PORT', 'HOST', 'OPS_PORT', 'OPS_HOST', 'OPS_PUBLIC_URL', 'OPS_TOKEN', 'REDIS_URL', 'REPLICAS']
    const others = ['GATEWAY_CONFIG', 'LOG_LEVEL', 'METRICS_TOKEN', 'TELEMETRY_REQUIRED', 'SHUTDOWN_TIMEOUT_MS']
    const newer = ['GATEWAY_CONFIG_WATCH', 'SHUTDOWN_DELAY_MS']
    assert.deepEqual(settingsOf(Object.fromEntries([...names, ...others, ...newer].map(name => [name, '']))), DEFAULTS)
  })

  it('are read, every one of them', () => {
    const authority = createAuthority('an authority')
    const certificate = authority.issue('gateway')
    const env = {
      PORT: '80',
      HOST: '::1',
      OPS_PORT: '81',
      OPS_HOST: 'localhost',
      OPS_PUBLIC_URL: 'https://ops.example/gateway-1/',
      INCIDENT_PUBLIC_URL: 'https://incidents.example/',
      OPS_TOKEN: 'fedcba9876543210',
      OPS_ALLOWED_HOSTS: 'Ops.Shop.example, ops.other.example,',
      REDIS_URL: 'rediss://user:p%40ss@redis.example:6380/3',
      REDIS_SENTINEL_USERNAME: 'watcher',
      REDIS_SENTINEL_PASSWORD: 'p%ss',
      REDIS_TLS_CA_FILE: authority.certFile,
      REDIS_TLS_CERT_FILE: certificate.certFile,
      REDIS_TLS_KEY_FILE: certificate.keyFile,
      REDIS_TIMEOUT_MS: '50',
      REPLICAS: '3',
      WORKERS: '4',
      GATEWAY_CONFIG: '/etc/gateway/routes.yaml',
      GATEWAY_CONFIG_WATCH: 'false',
      LOG_LEVEL: 'silent',
      METRICS_TOKEN: '0123456789abcdef',
      TELEMETRY_REQUIRED: 'True',
      SHUTDOWN_TIMEOUT_MS: '0',
      SHUTDOWN_DELAY_MS: '5000',
    }
    assert.deepEqual(settingsOf(env), {
      port: 80,
      host: '::1',
      opsPort: 81,
      opsHost: 'localhost',
      opsPublicUrl: 'https://ops.example/gateway-1',
      incidentsUrl: 'https://incidents.example',
      opsToken: 'fedcba9876543210',
      opsAllowedHosts: ['ops.shop.example', 'ops.other.example'],
      redisUrl: 'rediss://user:p%40ss@redis.example:6380/3',
      redisSentinelUsername: 'watcher',
      redisSentinelPassword: 'p%ss',
      redisTlsCaFile: authority.certFile,
      redisTlsCertFile: certificate.certFile,
      redisTlsKeyFile: certificate.keyFile,
      redisTimeoutMs: 50,
      replicas: 3,
      workers: 4,
      configFile: '/etc/gateway/routes.yaml',
      configWatch: false,
      logLevel: 'silent',
      metricsToken: '0123456789abcdef',
      telemetryRequired: true,
      shutdownTimeoutMs: 0,
      shutdownDelayMs: 5_000,
    })
  })

  it('say what is wrong with the files for TLS to Redis', () => {
    const { certFile, keyFile } = createAuthority('an authority').issue('gateway')
    const problemsOf = (env: Environment): unknown =>
      readSettings({ REDIS_URL: 'rediss://redis.example', ...env }).problems.map(({ where, problem, severity }) => [
        where,
        problem,
        severity,
      ])
    assert.deepEqual(problemsOf({ REDIS_TLS_CERT_FILE: certFile }), [
      ['REDIS_TLS_CERT_FILE', `"${certFile}" has no REDIS_TLS_KEY_FILE`, undefined],
    ])
    assert.deepEqual(problemsOf({ REDIS_TLS_CA_FILE: '/nowhere/ca.pem' }), [
      ['REDIS_TLS_CA_FILE', '"/nowhere/ca.pem" is not there', undefined],
    ])
    assert.deepEqual(problemsOf({ REDIS_TLS_CERT_FILE: keyFile, REDIS_TLS_KEY_FILE: keyFile }), [
      ['REDIS_TLS_CERT_FILE', `"${keyFile}" does not contain what is expected`, undefined],
    ])
    assert.deepEqual(problemsOf({ REDIS_URL: 'redis://redis.example', REDIS_TLS_CA_FILE: certFile }), [
      ['REDIS_TLS_CA_FILE', 'has no effect: REDIS_URL does not use TLS', 'warning'],
    ])
  })

  it('are frozen', () => {
    assert.ok(Object.isFrozen(settingsOf({})))
  })

  it('take one worker for each core', () => {
    assert.equal(settingsOf({ WORKERS: 'auto' }).workers, availableParallelism())
  })

  it('take free ports', () => {
    const { port, opsPort } = settingsOf({ PORT: '0', OPS_PORT: '0' })
    assert.deepEqual([port, opsPort], [0, 0])
  })

  it('know the ops port and host by their OpenTelemetry names too', () => {
    const standard = { OTEL_EXPORTER_PROMETHEUS_PORT: '9999', OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0' }
    const { opsPort, opsHost } = settingsOf(standard)
    assert.deepEqual([opsPort, opsHost], [9999, '0.0.0.0'])
    const own = settingsOf({ ...standard, OPS_PORT: '9465', OPS_HOST: '127.0.0.2' })
    assert.deepEqual([own.opsPort, own.opsHost], [9465, '127.0.0.2'])
    const empty = settingsOf({ ...standard, OPS_PORT: '', OPS_HOST: '' })
    assert.deepEqual([empty.opsPort, empty.opsHost], [9999, '0.0.0.0'])
  })
})

describe('a variable that will not do', () => {
  const rows: readonly (readonly [string, string, string, string?])[] = [
    ['PORT', '80a', '"80a" is not a whole number'],
    ['PORT', '8000.5', '"8000.5" is not a whole number'],
    ['PORT', ' 80', '" 80" is not a whole number'],
    ['PORT', '-1', '"-1" is too small'],
    ['PORT', '65536', '"65536" is too large'],
    ['PORT', '9464', '"9464" is both the port of the gateway and the ops port'],
    ['OPS_PORT', '8000', '"8000" is both the port of the gateway and the ops port'],
    ['OPS_PORT', 'tcp://10.0.0.1:9464', '"tcp://10.0.0.1:9464" was set by Kubernetes for a service of this name'],
    ['OTEL_EXPORTER_PROMETHEUS_PORT', 'x', '"x" is not a whole number'],
    ['OTEL_EXPORTER_PROMETHEUS_HOST', '*', '"*" is not an address', '0.0.0.0'],
    ['HOST', '*', '"*" is not an address', '0.0.0.0'],
    ['HOST', '0.0.0.0:80', '"0.0.0.0:80" has a port: that has a variable of its own', '0.0.0.0'],
    ['HOST', 'http://0.0.0.0', '"http://0.0.0.0" is a URL'],
    ['HOST', '[::1]', '"[::1]" has brackets', '::1'],
    ['HOST', '[lb]', '"[lb]" is neither an address nor a host name'],
    ['HOST', '300.0.0.1', '"300.0.0.1" is neither an address nor a host name'],
    ['HOST', 'a b', '"a b" is neither an address nor a host name'],
    ['OPS_ALLOWED_HOSTS', 'a:1', '"a:1" has "a:1", which is not a host name'],
    ['OPS_HOST', '-', '"-" is neither an address nor a host name'],
    ['OPS_PUBLIC_URL', 'ops.example:9464', '"ops.example:9464" has no scheme', 'http://ops.example:9464'],
    ['OPS_PUBLIC_URL', 'ops', '"ops" is not a URL'],
    ['OPS_PUBLIC_URL', 'ftp://ops', '"ftp://ops" is neither http nor https'],
    ['OPS_PUBLIC_URL', 'http://me@ops', '"http://…@ops" has credentials in it'],
    ['OPS_PUBLIC_URL', 'http://me:hunter2@ops', '"http://…@ops" has credentials in it'],
    ['OPS_PUBLIC_URL', 'http://ops?a', '"http://ops?a" has a query or a fragment', 'http://ops/'],
    ['REPLICAS', '0', '"0" is too small'],
    ['REPLICAS', 'two', '"two" is not a whole number'],
    ['WORKERS', '0', '"0" is too small'],
    ['WORKERS', 'all', '"all" is not a whole number'],
    ['LOG_LEVEL', 'warning', '"warning" is not known here', 'warn'],
    ['LOG_LEVEL', 'inof', '"inof" is not known here', 'info'],
    ['LOG_LEVEL', 'INFO', '"INFO" is not known here', 'info'],
    ['LOG_LEVEL', 'constructor', '"constructor" is not known here'],
    ['METRICS_TOKEN', 'hunter2', 'the value is too short to be a secret'],
    ['METRICS_TOKEN', 'hunter2 hunter2 hunter2', 'the value has characters that a bearer token cannot have'],
    ['TELEMETRY_REQUIRED', 'yes', '"yes" is neither true nor false', 'true'],
    ['TELEMETRY_REQUIRED', '0', '"0" is neither true nor false', 'false'],
    ['TELEMETRY_REQUIRED', 'ture', '"ture" is neither true nor false', 'true'],
    ['SHUTDOWN_TIMEOUT_MS', '10s', '"10s" is not a whole number'],
    ['SHUTDOWN_TIMEOUT_MS', '3600001', '"3600001" is too large'],
  ]
  for (const [name, value, problem, nearest] of rows) {
    it(`is reported by its name: ${name}=${value}`, () => {
      const problems = refused({ [name]: value })
      assert.deepEqual(
        problems.map(found => [found.where, found.problem, found.nearest]),
        [[name, problem, nearest]],
      )
      assert.ok(problems[0]?.allowed)
    })
  }

  it('is reported together with every other', () => {
    const problems = refused({
      PORT: 'x',
      REPLICAS: '0',
      REDIS_URL: 'redis://',
      OPS_PORT: 'y',
      TELEMETRY_REQUIRED: 'z',
    })
    assert.deepEqual(
      problems.map(({ where }) => where),
      ['PORT', 'OPS_PORT', 'REDIS_URL', 'REPLICAS', 'TELEMETRY_REQUIRED'],
    )
  })

  it('does not hide two ports that are the same', () => {
    const problems = refused({ PORT: '81', OPS_PORT: '81', REPLICAS: '0' })
    assert.deepEqual(
      problems.map(({ where }) => where),
      ['REPLICAS', 'OPS_PORT'],
    )
  })

  it('is named as it was set: an OpenTelemetry name that OPS_PORT overrides is not looked at', () => {
    assert.equal(settingsOf({ OPS_PORT: '1', OTEL_EXPORTER_PROMETHEUS_PORT: 'x' }).opsPort, 1)
  })
})

describe('a variable that is nearly one of ours', () => {
  for (const [name, nearest] of [
    ['REDIS_URI', 'REDIS_URL'],
    ['GATEWAY_CONF', 'GATEWAY_CONFIG'],
    ['METRICS_TOKN', 'METRICS_TOKEN'],
    ['TELEMETRY_REQUIERD', 'TELEMETRY_REQUIRED'],
    ['OPS_PROT', 'OPS_PORT'],
    ['REPLICA', 'REPLICAS'],
    ['SHUTDOWN_TIMEOT_MS', 'SHUTDOWN_TIMEOUT_MS'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['TRACES_SLOWMS', 'TRACES_SLOW_MS'],
  ] as const) {
    it(`is worth a warning and no more: ${name}`, () => {
      const { settings, problems } = readSettings({ [name]: 'hunter2' })
      assert.deepEqual(settings, DEFAULTS)
      assert.deepEqual(
        problems.map(problem => [problem.where, problem.nearest, problem.severity]),
        [[name, nearest, 'warning']],
      )
      assert.doesNotMatch(JSON.stringify(problems), /hunter2/)
    })
  }

  it('is not warned of while the one it resembles is set', () => {
    assert.deepEqual(settingsOf({ REDIS_URI: 'x', REDIS_URL: 'redis://h' }).redisUrl, 'redis://h')
  })

  for (const name of [
    'REDIS_PORT',
    'REDIS_SERVICE_HOST',
    'REDIS_SERVICE_PORT',
    'REDIS_PORT_6379_TCP_ADDR',
    'GATEWAY_SERVICE_PORT_HTTP',
    'OPS_PORT_9464_TCP',
    'REDIS_HOST',
    'REDIS_URL_2',
    'REDIS_PASSWORD',
    'REDIS_USER',
    'REDIS_TLS',
    'GATEWAY_INTERFACE',
    'GATEWAY_NAME',
    'METRICS_PORT',
    'LOG_FORMAT',
    'HOSTNAME',
    'PORTS',
    'XPORT',
    'INCIDENTS_FOLDER',
    'DEMO_UPSTREAM_URL',
    'TELEMETRY_HTTP_INSTRUMENTATION',
  ]) {
    it(`raises no false alarm: ${name}`, () => {
      assert.deepEqual(settingsOf({ [name]: 'tcp://10.0.0.1:1' }), DEFAULTS)
    })
  }
})
