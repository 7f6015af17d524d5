import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import { writeAttribute } from './attribute-writer'
import type { ProtobufWriter } from './protobuf-writer'

/** Writes the resource of ResourceSpans or ResourceMetrics, in field 1. */
export function writeResource(writer: ProtobufWriter, { attributes }: Resource): void {
  const start = writer.begin(1, 2)
  for (const key in attributes) writeAttribute(writer, 1, key, attributes[key])
  writer.integer(2, 0) // dropped_attributes_count
  writer.end(start, 2)
}

/** Writes the scope of ScopeSpans or ScopeMetrics, in field 1. */
export function writeScope(writer: ProtobufWriter, { name, version }: InstrumentationScope): void {
  const start = writer.begin(1, 1)
  writer.text(1, name)
  if (version) writer.text(2, version)
  writer.end(start, 1)
}
