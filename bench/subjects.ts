import { join } from 'node:path'

/** One row of the table: a process, and which path it is asked for. */
export interface Subject {
  readonly name: string
  readonly label: string
  /** Rows may share a process; each is driven by itself all the same. */
  readonly process: ProcessSpec
  readonly path: '/plain' | '/limited'
  /** False for the forwarder that everything is compared with. */
  readonly isGateway: boolean
  /** What the project has set itself. */
  readonly target: string
}

export interface ProcessSpec {
  readonly name: string
  /** Node's arguments: the program, and what is loaded before it. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** What the measured processes talk to, and where the gateway comes from. */
export interface Surroundings {
  /** Root of a built tree of the project. */
  readonly tree: string
  readonly upstreamUrl: string
  readonly sinkUrl: string
}

/** The two rows that others are divided by. */
export const BARE = 'bare'
export const OFF = 'off'
/** Added to the name of a row that runs another tree. */
export const BEFORE = '@before'

const TELEMETRY_OFF = { OTEL_SDK_DISABLED: 'true' }
const STOCK = { TELEMETRY_HTTP_INSTRUMENTATION: 'stock' }
const LOGS_OVER_OTLP = { OTEL_LOGS_EXPORTER: 'otlp' }

/** Metrics wait to be scraped, and this part of the traces leaves over OTLP: what a gateway in production has. */
function exporting(ratio: number): ProcessSpec['env'] {
  return { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: String(ratio) }
}

/** Everything that is measured, in the order of the table. */
export function subjects(surroundings: Surroundings): Subject[] {
  const forwarder = (name: string): ProcessSpec => bareForwarder(name, surroundings)
  const gateway = (name: string, env: ProcessSpec['env']): ProcessSpec => builtGateway(name, env, surroundings)
  const off = gateway(OFF, TELEMETRY_OFF)
  const silent = gateway('off-silent', { ...TELEMETRY_OFF, LOG_LEVEL: 'warn' })
  const full1 = gateway('full-1', exporting(0.01))
  const full100 = gateway('full-100', exporting(1))
  const logs1 = gateway('full-1-logs', { ...exporting(0.01), ...LOGS_OVER_OTLP })
  const stock1 = gateway('stock-1', { ...exporting(0.01), ...STOCK })
  const stock100 = gateway('stock-100', { ...exporting(1), ...STOCK })
  return [
    row(BARE, 'Express + undici forwarder', forwarder(BARE), { isGateway: false }),
    row('bare-again', 'the same in a second process', forwarder('bare-again'), { isGateway: false }),
    row(OFF, 'telemetry off', off, { target: '1.15 × forwarder' }),
    row('off-silent', 'telemetry off, no access log', silent),
    row('full-1', 'full telemetry, 1 % exported', full1, { target: '1.35 × off' }),
    row('full-100', 'full telemetry, 100 % exported', full100, { target: '1.6 × off' }),
    row('full-1-logs', 'full, 1 %, log lines over OTLP too', logs1),
    row('stock-1', 'stock instrumentations, 1 %', stock1),
    row('stock-100', 'stock instrumentations, 100 %', stock100),
    row('off-limited', 'telemetry off, limited in memory', off, { path: '/limited' }),
    row('full-1-limited', 'full, 1 %, limited in memory', full1, { path: '/limited' }),
  ]
}

function row(name: string, label: string, process: ProcessSpec, others: Partial<Subject> = {}): Subject {
  return { name, label, process, path: '/plain', isGateway: true, target: '', ...others }
}

/** The same row of another tree, to be measured beside the one of this tree. */
export function asBefore(subject: Subject): Subject {
  const { name, args, env } = subject.process
  const endpoint = `${env['OTEL_EXPORTER_OTLP_ENDPOINT']}${BEFORE}`
  return {
    ...subject,
    name: subject.name + BEFORE,
    label: `${subject.label}, before`,
    process: { name: name + BEFORE, args, env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } },
    target: '',
  }
}

function bareForwarder(name: string, { upstreamUrl }: Surroundings): ProcessSpec {
  return { name, args: [join(import.meta.dirname, 'programs/bare-forwarder.ts')], env: { BENCH_UPSTREAM: upstreamUrl } }
}

/** The built gateway as `npm start` runs it. Its access log is on and goes to the null device. */
function builtGateway(name: string, env: ProcessSpec['env'], surroundings: Surroundings): ProcessSpec {
  const { tree, upstreamUrl, sinkUrl } = surroundings
  return {
    name,
    args: [
      '--enable-source-maps',
      '--min-semi-space-size=16',
      '--require',
      join(tree, 'dist/otel/sdk/register.js'),
      join(tree, 'dist/src/main.js'),
    ],
    env: {
      HOST: '127.0.0.1',
      PORT: '0',
      OPS_PORT: '0',
      LOG_LEVEL: 'info',
      GATEWAY_CONFIG: join(import.meta.dirname, 'gateway.yaml'),
      BENCH_UPSTREAM: upstreamUrl,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${sinkUrl}/${name}`,
      OTEL_LOGS_EXPORTER: 'none',
      ...env,
    },
  }
}
