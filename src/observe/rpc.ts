import type { Attributes, Histogram, Meter } from '@opentelemetry/api'
import { faultStatusOf, grpcStatusOf, type GrpcStatus } from '../errors/grpc-status'
import type { Exchange } from '../exchange/exchange'
import type { GrpcCall } from '../exchange/grpc-call'
import * as semconv from '../telemetry/semconv'

/** What the conventions call a method that is not known. */
const OTHER_METHOD = '_OTHER'
const GRPC = 'grpc'

/** Returns the status that the client got. */
export function rpcStatusOf({ outcome, response }: Exchange, { status }: GrpcCall): GrpcStatus {
  if (status !== undefined) return status
  // An upstream's HTTP answer that is not gRPC: clients derive the status from it.
  return outcome === 'client_closed'
    ? 'CANCELLED'
    : response.statusCode === 200
      ? 'UNKNOWN'
      : grpcStatusOf(response.statusCode)
}

/** Adds the attributes of the RPC conventions. */
export function describeRpc(attributes: Attributes, exchange: Exchange, grpc: GrpcCall): void {
  const method = methodOf(exchange, grpc)
  attributes[semconv.ATTR_RPC_SYSTEM_NAME] = GRPC
  attributes[semconv.ATTR_RPC_METHOD] = method
  if (method === OTHER_METHOD) attributes[semconv.ATTR_RPC_METHOD_ORIGINAL] = exchange.path.slice(1)
  attributes[semconv.ATTR_RPC_STATUS_CODE] = rpcStatusOf(exchange, grpc)
}

/** Only methods that the configuration names, because the path is the client's choice. */
function methodOf({ path }: Exchange, { methods }: GrpcCall): string {
  const method = path.slice(1)
  return methods?.has(method) === true ? method : OTHER_METHOD
}

/** Records the durations of gRPC calls. Bounded by (named methods of all routes + 1) × statuses. */
export class RpcDurations {
  readonly #duration: Histogram
  /** One frozen attribute object per series, by method and status. */
  readonly #series = new Map<string, Attributes>()

  /** @param boundaries bucket boundaries in seconds */
  constructor(meter: Meter, boundaries: readonly number[]) {
    this.#duration = meter.createHistogram(semconv.METRIC_RPC_SERVER_CALL_DURATION, {
      unit: 's',
      advice: { explicitBucketBoundaries: [...boundaries] },
      description: 'Duration of gRPC calls',
    })
  }

  record(exchange: Exchange, grpc: GrpcCall, seconds: number): void {
    const method = methodOf(exchange, grpc)
    const status = rpcStatusOf(exchange, grpc)
    const key = `${method} ${status}`
    let attributes = this.#series.get(key)
    if (attributes === undefined) {
      attributes = Object.freeze({
        [semconv.ATTR_RPC_SYSTEM_NAME]: GRPC,
        [semconv.ATTR_RPC_METHOD]: method,
        [semconv.ATTR_RPC_STATUS_CODE]: status,
        ...(faultStatusOf(status) !== undefined && { [semconv.ATTR_ERROR_TYPE]: status }),
      })
      this.#series.set(key, attributes)
    }
    this.#duration.record(seconds, attributes, exchange.context)
  }
}
