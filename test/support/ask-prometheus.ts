import assert from 'node:assert/strict'

/** One series of an answer, with its value at this moment. */
export interface Row {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

/** What a real Prometheus answers at this moment. */
export async function askPrometheus(url: string, query: string): Promise<Row[]> {
  const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query }).toString()}`)
  const { status, error, data } = (await response.json()) as {
    status: string
    error?: string
    data: { result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  assert.equal(status, 'success', `${query}: ${error}`)
  return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
}
