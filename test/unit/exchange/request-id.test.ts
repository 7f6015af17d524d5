import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import type { IncomingMessage } from 'node:http'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { requestIdOf } from '../../../src/exchange/request-id'

function nextId(): string {
  return requestIdOf({ headers: {} } as IncomingMessage, false, ROOT_CONTEXT, undefined)
}

describe('the id of a request without a trace', () => {
  it('is never given twice, even after its count has run through', () => {
    const prefixes = new Set<string>()
    let [prefix, count] = ['', 0]
    for (let i = 0; i <= 1_000_000; i++) {
      const id = nextId()
      const [ofThis, counted] = [id.slice(0, 30), Number(id.slice(30))]
      if (ofThis === prefix) assert.ok(counted > count, id)
      else {
        assert.match(id, /^[0-9a-f]{29}-\d{6}$/)
        assert.ok(!prefixes.has(ofThis), id)
        prefixes.add(ofThis)
      }
      ;[prefix, count] = [ofThis, counted]
    }
    assert.ok(prefixes.size > 1, `${prefixes.size} prefixes`)
  })

  it('begins differently in each process', () => {
    const module = resolve(__dirname, '../../../src/exchange/request-id')
    const program = `process.stdout.write(require(${JSON.stringify(module)}).requestIdOf({ headers: {} }, false, require('@opentelemetry/api').ROOT_CONTEXT))`
    const beginnings = [nextId(), execFileSync(process.execPath, ['-e', program]).toString()].map(id => id.slice(0, 29))
    assert.notEqual(beginnings[0], beginnings[1])
  })
})
