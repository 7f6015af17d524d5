import assert from 'node:assert/strict'
import { linesOf } from '../../../../src/upstream/discovery/kubernetes/watched-lines'

describe('lines of a watch', () => {
  it('are the same however the stream is cut, and the end without a newline is dropped', async () => {
    const text = Buffer.from('{"a":"ä"}\n\n{"b":2}\n{"c":3')
    for (let size = 1; size <= text.length; size++) {
      assert.deepEqual((await groupsOf(text, size, 20)).flat(), ['{"a":"ä"}', '{"b":2}'], `${size} bytes at a time`)
    }
  })

  it('come together if they arrive together', async () => {
    assert.deepEqual(await groupsOf(Buffer.from('1\n2\n3\n'), 4, 20), [['1', '2'], ['3']])
  })

  it('have a bound, with and without their newline', async () => {
    const limit = 8
    assert.deepEqual(await groupsOf(Buffer.from(`${'x'.repeat(limit)}\n`), 3, limit), [['x'.repeat(limit)]])
    for (const end of ['', '\n']) {
      for (const size of [3, 100]) {
        const reading = groupsOf(Buffer.from(`ok\n${'x'.repeat(limit + 1)}${end}`), size, limit)
        await assert.rejects(reading, /an event of the watch has more than 8 bytes/)
      }
    }
  })
})

async function groupsOf(text: Buffer, size: number, maxBytes: number): Promise<string[][]> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size)
  }
  const groups: string[][] = []
  for await (const lines of linesOf(chunks(), maxBytes)) groups.push(lines)
  return groups
}
