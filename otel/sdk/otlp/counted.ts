import type { ISerializer } from '@opentelemetry/otlp-transformer'

export type CountBytes = (bytes: number) => void

/** The same serializer, with the size of each request counted, before compression. A retry is not written again. */
export function counted<Request, Response>(
  serializer: ISerializer<Request, Response>,
  count: CountBytes,
): ISerializer<Request, Response> {
  return {
    serializeRequest(request) {
      const written = serializer.serializeRequest(request)
      if (written !== undefined) count(written.byteLength)
      return written
    },
    deserializeResponse: data => serializer.deserializeResponse(data),
  }
}
