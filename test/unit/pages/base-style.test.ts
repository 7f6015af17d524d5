import assert from 'node:assert/strict'
import { BASE_STYLE } from '../../../src/pages/base-style'

type Colours = Readonly<Record<string, string>>

/** The two sets of colours, light and dark. */
const SETS = [...BASE_STYLE.matchAll(/:root \{\s*(?:color-scheme: light dark;)?([^}]*--ink[^}]*)\}/g)].map(
  ([, text = '']) =>
    Object.fromEntries(
      [...text.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name = '', value = '']) => [name, value]),
    ),
)

/** Which colours of text stand on which grounds. */
const TEXT: readonly (readonly [string, readonly string[]])[] = [
  ['ink', ['ground', 'surface', 'raised']],
  ['muted', ['ground', 'surface', 'raised', 'bad-soft']],
  ['link', ['ground', 'surface', 'raised']],
  ['bad', ['ground', 'surface', 'raised', 'bad-soft']],
  ['good', ['ground', 'surface', 'good-soft']],
  ['warn', ['ground', 'surface', 'warn-soft', 'bad-soft']],
]
/** Lines and bars, which need less (WCAG 2.2, 1.4.11). */
const SHAPES: readonly (readonly [string, readonly string[]])[] = [
  ['bad', ['surface', 'raised']],
  ['calm', ['surface', 'bad-soft']],
  ['server', ['surface', 'raised']],
  ['client', ['surface', 'raised']],
  ['other', ['surface', 'raised']],
]

describe('the colours of pages', () => {
  it('are there for light and for dark, with the same names', () => {
    assert.equal(SETS.length, 2)
    assert.deepEqual(Object.keys(SETS[0] ?? {}), Object.keys(SETS[1] ?? {}))
  })

  for (const [index, name] of ['light', 'dark'].entries()) {
    it(`can be read when it is ${name}`, () => assertContrast(SETS[index] ?? {}, TEXT, 4.5))
    it(`show bars and lines when it is ${name}`, () => assertContrast(SETS[index] ?? {}, SHAPES, 3))
  }
})

function assertContrast(colours: Colours, pairs: typeof TEXT, least: number): void {
  for (const [text, grounds] of pairs) {
    for (const ground of grounds) {
      const found = contrast(colours[text] ?? '', colours[ground] ?? '')
      assert.ok(found >= least, `${text} on ${ground}: ${found.toFixed(2)}`)
    }
  }
}

/** WCAG 2.2: from 1 to 21. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: string): number {
  const [red = NaN, green = NaN, blue = NaN] = [1, 3, 5].map(at => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
