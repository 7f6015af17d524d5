const NEWLINE = 0x0a

/**
 * Splits a stream into lines, each event of a watch being one. Yields the complete lines of each chunk together, so that
 * events that arrive together are one change. An incomplete line at the end is dropped: its event comes again.
 *
 * @throws RangeError when a line is longer than `maxBytes`
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<string[]> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end))
      const line = Buffer.concat(parts)
      if (line.length > maxBytes) throw tooLong(maxBytes)
      if (line.length > 0) lines.push(line.toString('utf8'))
      parts = []
      bytes = 0
      start = end + 1
    }
    if (start < chunk.length) parts.push(chunk.subarray(start))
    bytes += chunk.length - start
    if (bytes > maxBytes) throw tooLong(maxBytes)
    if (lines.length > 0) yield lines
  }
}

function tooLong(maxBytes: number): RangeError {
  return new RangeError(`an event of the watch has more than ${maxBytes} bytes`)
}
