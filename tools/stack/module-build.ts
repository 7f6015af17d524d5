import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { buildOnce, executable, isExecutable } from './go-build'
import { placeholderPage } from './placeholder-page'

/** Programs of one project, and how they are built from its Go module. */
export interface GoModule {
  /** For people. */
  readonly title: string
  /** For the cache folder. */
  readonly name: string
  readonly path: string
  /**
   * The version on the module proxy: projects beyond 1.x without a `/vN` in their path number their modules
   * differently.
   */
  readonly moduleVersion: string
  /** The version that the program prints. */
  readonly version: string
  /** Each is a command in `cmd/`. */
  readonly programs: readonly string[]
  readonly tags: readonly string[]
  /** Files that the build embeds and the module lacks, by their path in it. */
  readonly missingFiles: Readonly<Record<string, string | Buffer>>
}

const PROMETHEUS_PAGE = placeholderPage('Prometheus', [
  ['scrape targets', 'api/v1/targets'],
  ['alerts', 'api/v1/alerts'],
  ['rules', 'api/v1/rules'],
  ['metrics', 'metrics'],
])
const ALERTMANAGER_PAGE = placeholderPage('Alertmanager', [
  ['alerts', 'api/v2/alerts'],
  ['silences', 'api/v2/silences'],
  ['status and configuration', 'api/v2/status'],
  ['metrics', 'metrics'],
])

export const PROMETHEUS_MODULE: GoModule = {
  title: 'Prometheus',
  name: 'prometheus',
  path: 'github.com/prometheus/prometheus',
  moduleVersion: 'v0.316.0',
  version: '3.16.0',
  programs: ['prometheus', 'promtool'],
  // Of the service discoveries only what monitoring/prometheus.yml uses; static, file and http are always in. The clients of
  // all the clouds would be most of the build.
  tags: ['builtinassets', 'remove_all_sd', 'enable_dns_sd'],
  missingFiles: {
    'web/ui/embed.go': 'package ui\n\nimport "embed"\n\n//go:embed static\nvar EmbedFS embed.FS\n',
    'web/ui/static/mantine-ui/index.html': PROMETHEUS_PAGE,
  },
}

export const ALERTMANAGER_MODULE: GoModule = {
  title: 'Alertmanager',
  name: 'alertmanager',
  path: 'github.com/prometheus/alertmanager',
  moduleVersion: 'v0.35.0',
  version: '0.35.0',
  programs: ['alertmanager', 'amtool'],
  tags: [],
  // There are two interfaces, chosen by the encodings that the browser accepts; both must exist.
  missingFiles: Object.fromEntries(
    ['elm', 'mantine'].flatMap(ui => [
      [`ui/app/dist/${ui}/index.html.gz`, gzipSync(ALERTMANAGER_PAGE)],
      [`ui/app/dist/${ui}/index.html.br`, brotliCompressSync(ALERTMANAGER_PAGE)],
    ]),
  ),
}

/** The folder of a module's programs below the cache folder; another recipe uses another folder. */
export function moduleFolder(module: GoModule): string {
  const hash = createHash('sha256').update(JSON.stringify(module)).digest('hex').slice(0, 8)
  return `${module.name}-${module.version}-${process.platform}-${process.arch}-${hash}`
}

/**
 * Builds a module's programs into the folder `target`.
 *
 * @throws with the last lines of the step that failed, or after 40 minutes.
 */
export async function buildModule(
  module: GoModule,
  { go, target, log }: { go: string; target: string; log: (line: string) => void },
): Promise<void> {
  const { title, path, moduleVersion, version, programs, tags } = module
  await buildOnce({
    what: `${title} ${version} (${programs.join(' and ')})`,
    go,
    target,
    log,
    isBuilt: async () =>
      (await Promise.all(programs.map(async name => isExecutable(join(target, executable(name)))))).every(Boolean),
    build: async (draft, step) => {
      const source = join(draft, 'source')
      const output = join(draft, 'output')
      const downloaded = await step(title, go, ['mod', 'download', '-json', `${path}@${moduleVersion}`])
      await copyWritable(folderIn(downloaded), source)
      for (const [name, content] of Object.entries(module.missingFiles)) {
        await mkdir(dirname(join(source, name)), { recursive: true })
        await writeFile(join(source, name), content)
      }
      await mkdir(output)
      // `go install` rejects a module with replacements, such as Prometheus, so it is built as the main module in its
      // own folder.
      const args = [
        'build',
        // The same flag as for the Collector, so that both share compiled packages.
        '-trimpath',
        // The cache folder may be inside an unrelated Git repository.
        '-buildvcs=false',
        `-tags=${tags.join(',')}`,
        `-ldflags=-s -w -X github.com/prometheus/common/version.Version=${version}`,
        `-o=${output}`,
        ...programs.map(name => `./cmd/${name}`),
      ]
      await step(title, go, args, { cwd: source })
      return output
    },
  })
}

/** The folder where `go mod download -json` put the module; progress lines may be mixed in. */
function folderIn(lines: readonly string[]): string {
  const found = lines.map(line => /^\s*"Dir": (".*"),?$/.exec(line)?.[1]).find(value => value !== undefined)
  if (found === undefined) throw new Error(`go mod download named no folder: ${lines.join(' ')}`)
  return JSON.parse(found) as string
}

/**
 * Copies a module writable: Go's module cache is read-only, but the build adds files and the copy must be deletable.
 */
async function copyWritable(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true })
  await chmod(to, 0o755)
  for (const entry of await readdir(to, { recursive: true, withFileTypes: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
  }
}
