import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const ROOT = resolve(__dirname, '../../../..')
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...globSync(['docs/*.md', 'CONTRIBUTING.md', 'otel/**/*.md', 'monitoring/**/*.md'], { cwd: ROOT }),
]

describe('links of the documentation', () => {
  for (const page of PAGES) {
    it(`lead somewhere: ${page}`, () => {
      const text = readFileSync(join(ROOT, page), 'utf8')
      const targets = [...text.matchAll(/\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)].map(
        ([, target = '']) => target,
      )
      const missing = targets.filter(target => !existsSync(resolve(ROOT, dirname(page), target)))
      assert.deepEqual(missing, [])
    })

    it(`lead to headings that are there: ${page}`, () => {
      const text = readFileSync(join(ROOT, page), 'utf8')
      const missing = [...text.matchAll(/\]\((?!https?:)([^)#\s]*\.md)?#([^)\s]+)\)/g)]
        .filter(([, file, heading]) => {
          const linked = file === undefined ? text : readFileSync(resolve(ROOT, dirname(page), file), 'utf8')
          return !headingsOf(linked).includes(heading as string)
        })
        .map(([link]) => link)
      assert.deepEqual(missing, [])
    })
  }
})

describe('files that the documentation names', () => {
  /** The sample policy, which a reader of CONTRIBUTING.md writes. */
  const UNWRITTEN = ['src/policies/request-timeout-header/policy.ts']

  for (const page of PAGES) {
    it(`exist: ${page}`, () => {
      const text = readFileSync(join(ROOT, page), 'utf8')
      const named = [
        ...text.matchAll(/(?<![\w/.-])(?:src|otel|test|tools|bench|bin)\/[\w./*-]*(?:\/|\.[mc]?[jt]s)(?![\w*.<])/g),
      ]
      const missing = named
        .map(([path]) => path)
        .filter(path => !UNWRITTEN.includes(path) && globSync(path, { cwd: ROOT }).length === 0)
      assert.deepEqual(missing, [])
    })
  }
})

/** As the common viewers of Markdown name them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}
