import type { OxlintConfig, OxlintOverride } from 'oxlint'

/**
 * Which room of `src/` may import which (docs/architecture.md#the-rooms). A room that is not named in a list may not be
 * imported. To allow an import, add it here and say in the commit why the arrow points that way.
 */
const MAY_IMPORT = {
  // What every room may use. These know nothing of requests.
  telemetry: 'process',
  process: 'config errors telemetry',
  config: 'policies process slo telemetry',
  slo: 'config telemetry',
  redis: 'config errors telemetry',
  access: 'exchange',
  certificates: 'config telemetry',
  pages: '',
  // The path of a request. Its stages do not know each other: `gateway.ts` and `runtime/` connect them.
  errors: 'exchange',
  exchange: 'config errors',
  entrypoint: 'access certificates config errors exchange telemetry',
  routing: 'config exchange',
  policies: 'access certificates config errors exchange redis runtime slo telemetry',
  upstream: 'certificates config errors exchange telemetry',
  observe: 'config entrypoint errors exchange process telemetry',
  runtime: 'certificates config entrypoint errors exchange observe policies routing slo telemetry upstream',
  // What people and programs look at. It reads the request path and is never read by it.
  operations: 'access config errors observe pages policies slo telemetry',
  // Several processes as one gateway: it starts and asks those that serve.
  workers: 'config observe operations policies process runtime telemetry upstream',
  incidents: 'access config pages process redis telemetry',
  cli: 'config entrypoint errors exchange operations policies process routing runtime slo telemetry upstream',
  // What the package exports: a gateway as one object, and the kit for tests of policies.
  embed: 'config entrypoint gateway observe policies process redis slo telemetry upstream',
  testing: 'embed policies',
}

type Room = keyof typeof MAY_IMPORT

/** Imports of which only types are used: no code runs in the other direction. */
const MAY_IMPORT_TYPES: Partial<Record<Room, string>> = {
  process: 'gateway redis',
  telemetry: 'errors',
  config: 'exchange routing',
  exchange: 'routing',
  policies: 'routing upstream',
  upstream: 'entrypoint',
  observe: 'routing upstream',
}

const ROOMS = Object.keys(MAY_IMPORT) as Room[]
/** The files beside the rooms. They import rooms; only those named above import one of them. */
const FILES = ['gateway', 'main', 'index']

const ONLY_API = {
  group: ['@opentelemetry/*', '!@opentelemetry/api', '!@opentelemetry/semantic-conventions'],
  message: 'src uses the OpenTelemetry API only; the SDK belongs to otel/sdk (docs/architecture.md).',
}
const NO_OTEL = { group: ['**/otel/**'], message: 'Only main.ts knows both src and otel (docs/architecture.md).' }
const NO_TOOLS = {
  group: ['**/tools/**', '**/test/**'],
  message: 'The image and the package have no tools and no tests.',
}
/** A check may read the schema of another key; nothing else of it. */
const NO_OTHER_POLICY = {
  group: ['../*/**', '!../*/schema', '!../../**'],
  message: 'Policies do not import each other; the registry orders them (docs/architecture.md).',
}

export default {
  plugins: ['typescript', 'unicorn', 'import', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-type-imports': 'error',
    'typescript/consistent-return': 'off',
    'eslint/no-console': 'error',
    'eslint/no-shadow': 'off',
    'eslint/no-underscore-dangle': 'off',
    'eslint/eqeqeq': 'error',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'import/no-unassigned-import': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/require-post-message-target-origin': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'promise/always-return': 'off',
  },
  overrides: [
    { files: ['tools/**', 'test/**'], rules: { 'eslint/no-console': 'off' } },
    ...ROOMS.map(room => restrict([`src/${room}/**`], boundariesOf(room))),
    restrict(['src/policies/*/**'], [...boundariesOf('policies'), NO_OTHER_POLICY]),
    restrict(['src/*.ts', 'src/incidents/main.ts'], [ONLY_API, NO_TOOLS]),
    restrict(['otel/**'], [{ group: ['**/src/**'], message: 'otel imports nothing from src.' }, NO_TOOLS]),
    restrict(['tools/**'], [{ group: ['**/test/**'], message: 'tools do not import tests.' }]),
  ],
  ignorePatterns: ['dist', 'node_modules', 'docs/examples'],
} satisfies OxlintConfig

function boundariesOf(room: Room): Restriction[] {
  const allowed = [room, ...MAY_IMPORT[room].split(' ')]
  const forTypes = MAY_IMPORT_TYPES[room]?.split(' ') ?? []
  const denied = [...ROOMS, ...FILES].filter(other => !allowed.includes(other))
  const message = `src/${room} may not import this: see the table in oxlint.config.mts.`
  const restrictions: Restriction[] = [
    { regex: importOf(denied.filter(other => !forTypes.includes(other))), message },
    ONLY_API,
    NO_TOOLS,
  ]
  if (forTypes.length > 0) {
    restrictions.push({
      regex: importOf(forTypes),
      message: `${message} Types may be imported.`,
      allowTypeImports: true,
    })
  }
  return room === 'testing' ? restrictions : [...restrictions, NO_OTEL]
}

interface Restriction {
  readonly group?: readonly string[]
  readonly regex?: string
  readonly message: string
  readonly allowTypeImports?: boolean
}

function restrict(files: string[], patterns: readonly Restriction[]): OxlintOverride {
  return { files, rules: { 'eslint/no-restricted-imports': ['error', { patterns }] } }
}

/** Matches imports of these rooms and files of `src/`, from any depth. */
function importOf(names: readonly string[]): string {
  return `^(?:\\.\\./)+(?:${names.join('|')})(?:/|$)`
}
