/** Segments behind the template that are looked at. */
const MAX_SEGMENTS = 4
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const LITERAL = /^[a-z][a-z._-]{0,31}$/i

/**
 * What a path looks like, without what tells requests of one kind apart: `/users/:id` and `/users/17/orders` give
 * `/users/{2 digits}/orders`. Parameters of the template show as their shape alone, as they may name a person.
 */
export function pathShape(path: string, template: string | undefined): string {
  const known = template === undefined ? [] : template.slice(1).split('/')
  const segments = path.slice(1).split('/')
  const shown = segments.slice(0, known.length + MAX_SEGMENTS)
  const shapes = shown.map((segment, index) => {
    const place = known[index]
    if (place !== undefined && !place.startsWith(':')) return place
    return place === undefined && LITERAL.test(segment) ? segment : shapeOf(segment)
  })
  return `/${shapes.join('/')}${segments.length > shown.length ? '/…' : ''}`
}

function shapeOf(segment: string): string {
  if (segment === '') return ''
  if (/^\d+$/.test(segment)) return `{${lengthClass(segment.length)} digits}`
  if (UUID.test(segment)) return '{uuid}'
  if (segment.length >= 8 && /^[0-9a-f]+$/i.test(segment)) return '{hex}'
  const kind = /^[a-z]+$/i.test(segment) ? 'word' : 'text'
  return `{${kind}, ${lengthClass(segment.length)}}`
}

function lengthClass(length: number): string {
  const bounds = [1, 3, 6, 12, 24]
  const index = bounds.findIndex(bound => length <= bound)
  if (index === 0) return '1'
  return index === -1 ? '25+' : `${(bounds[index - 1] ?? 0) + 1}-${bounds[index]}`
}
