import type { Diagnostics } from './diagnostics'

/**
 * Flushes and closes all parts in parallel. `NodeSDK.shutdown()` is not used: it rejects with the first part that
 * fails, and a process that then exits loses the data the others were still sending.
 *
 * @param timeoutMs an exporter alone retries for 10 s when its collector is down
 * @returns false when data was lost: a part failed, an export failed meanwhile, or the time ran out
 */
export async function shutdownAll(
  parts: readonly { shutdown(): Promise<void> }[],
  timeoutMs: number,
  diagnostics: Diagnostics,
): Promise<boolean> {
  // Readers and log processors report a failed export only to the error handler, and resolve.
  const errorsBefore = diagnostics.errors
  const closed = Promise.allSettled(parts.map(async part => part.shutdown())).then(results => {
    const failed = results.filter(result => result.status === 'rejected')
    for (const { reason } of failed) diagnostics.say('error', 'telemetry was not sent at shutdown', [reason])
    return failed.length === 0
  })
  let timer: NodeJS.Timeout | undefined
  const outOfTime = new Promise<boolean>(resolve => {
    timer = setTimeout(() => {
      diagnostics.say('warn', `telemetry was still being sent after ${timeoutMs} ms and is given up`)
      resolve(false)
    }, timeoutMs)
  })
  const complete = await Promise.race([closed, outOfTime])
  clearTimeout(timer)
  return complete && diagnostics.errors === errorsBefore
}
