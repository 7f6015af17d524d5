import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Every name that docs/telemetry.md writes as code, with `a_{b,c}` spelled out as `a_b` and `a_c`. */
export function namesInTelemetryDocs(): Set<string> {
  // Compiled, this file is dist/test/support/documented-names.js.
  const text = readFileSync(join(__dirname, '../../../docs/telemetry.md'), 'utf8')
  const codes = [...text.matchAll(/`([^`\n]+)`/g)].map(match => match[1]!)
  return new Set(codes.flatMap(spelledOut))
}

function spelledOut(code: string): string[] {
  const [, before, choices, after] = /^(\w*)\{([\w,]+)\}(\w*)$/.exec(code) ?? []
  if (choices === undefined) return [code]
  return choices.split(',').map(choice => `${before}${choice}${after}`)
}
