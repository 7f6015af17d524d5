import type { AnyValue } from '@opentelemetry/api'
import type { ProtobufWriter } from './protobuf-writer'

/** Writes a KeyValue. */
export function writeAttribute(writer: ProtobufWriter, field: number, key: string, value: AnyValue): void {
  const start = writer.begin(field, 1)
  writer.text(1, key)
  writeValue(writer, 2, value)
  writer.end(start, 1)
}

/** Writes an AnyValue. */
function writeValue(writer: ProtobufWriter, field: number, value: AnyValue): void {
  const start = writer.begin(field, 1)
  if (typeof value === 'string') writer.text(1, value)
  else if (typeof value === 'boolean') writer.integer(2, value ? 1 : 0)
  else if (typeof value === 'number') writeNumber(writer, value)
  else if (value instanceof Uint8Array) writer.bytes(7, value)
  else if (Array.isArray(value)) writeList(writer, value)
  else if (value !== null && value !== undefined) writeMap(writer, value as Readonly<Record<string, AnyValue>>)
  writer.end(start, 1)
}

function writeNumber(writer: ProtobufWriter, value: number): void {
  if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) writer.integer(3, value)
  else writer.double(4, value)
}

function writeList(writer: ProtobufWriter, values: readonly AnyValue[]): void {
  const start = writer.begin(5, 1)
  for (const value of values) writeValue(writer, 1, value)
  writer.end(start, 1)
}

function writeMap(writer: ProtobufWriter, values: Readonly<Record<string, AnyValue>>): void {
  const start = writer.begin(6, 1)
  for (const key of Object.keys(values)) writeAttribute(writer, 1, key, values[key])
  writer.end(start, 1)
}
