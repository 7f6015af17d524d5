import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Declarations of the compiler, from `dist/tools/docs`. */
const DECLARATIONS = join(__dirname, '../../src')

const ENTRIES = [
  { module: 'myesi-gateway', file: 'index' },
  { module: 'myesi-gateway/testing', file: 'testing/index' },
] as const

const HEAD = `# API

What the package exports, from its doc comments. \`npm run schema\` writes this page; a test fails when it is out of date, so that no change of the API passes unseen. How to use it:
[extending.md](extending.md). A change that breaks a program follows the [deprecation policy](upgrading.md#deprecation); \`z\` is that of zod 4.
`

/** Returns `docs/api.md`: the exported declarations, as the compiler writes them. */
export function apiReference(): string {
  return [HEAD, ...ENTRIES.flatMap(({ module, file }) => [`## ${module}\n`, ...exportsOf(file).map(sectionOf)])].join(
    '\n',
  )
}

interface Exported {
  readonly name: string
  readonly comment: string
  readonly declaration: string
}

function sectionOf({ name, comment, declaration }: Exported): string {
  return [`### ${name}\n`, ...(comment === '' ? [] : [`${comment}\n`]), '```ts', declaration, '```\n'].join('\n')
}

/** Returns what a file exports, also from others, in the order of names. */
function exportsOf(file: string): Exported[] {
  const text = readFileSync(join(DECLARATIONS, `${file}.d.ts`), 'utf8')
  const own = [...text.matchAll(/^export (?:declare )?(?:function|interface|type|const|class) (\w+)/gm)].map(
    ([, name]) => declarationOf(text, name as string),
  )
  const others = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\..*?)';$/gms)].flatMap(
    ([, names = '', path = '']) => {
      const declared = readFileSync(join(DECLARATIONS, dirname(file), `${path}.d.ts`), 'utf8')
      return names.split(',').map(name => declarationOf(declared, name.trim().replace(/^type /, '')))
    },
  )
  return [...own, ...others].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function declarationOf(text: string, name: string): Exported {
  const start = text.search(new RegExp(`^export (?:declare )?(?:function|interface|type|const|class) ${name}\\b`, 'm'))
  if (start < 0) throw new Error(`no declaration of ${name}`)
  const before = /\/\*\*(?:(?!\*\/).)*\*\/\n$/s.exec(text.slice(0, start))?.[0] ?? ''
  return { name, comment: plainComment(before), declaration: text.slice(start, endOf(text, start)).trimEnd() }
}

/** A declaration ends with its line, unless brackets are open. */
function endOf(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    // A comment may contain any bracket.
    if (text.startsWith('/*', at)) at = text.indexOf('*/', at) + 1
    const character = text[at] as string
    if ('{(['.includes(character)) depth++
    if ('})]'.includes(character)) depth--
    if (character === '\n' && depth === 0) return at
  }
  return text.length
}

function plainComment(comment: string): string {
  return comment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .trim()
    .replace(/^@(\w+) /gm, '`@$1` ')
}
