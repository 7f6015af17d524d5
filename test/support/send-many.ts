import { Pool } from 'undici'

/** Sends `count` requests over a few keep-alive connections and reads the answers; returns how often each status came. */
export async function sendMany(
  url: string,
  count: number,
  request: (index: number) => { path: string; method?: string; headers?: Record<string, string> },
): Promise<ReadonlyMap<number, number>> {
  const pool = new Pool(url, { connections: 16 })
  const statuses = new Map<number, number>()
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const { path, method = 'GET', headers = {} } = request(index)
      const { statusCode, body } = await pool.request({ path, method, headers })
      await body.dump()
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await pool.close()
  return statuses
}
