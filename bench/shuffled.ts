/** The same items in random order (Fisher and Yates). */
export function shuffled<Item>(given: readonly Item[]): Item[] {
  const items = [...given]
  for (let last = items.length - 1; last > 0; last--) {
    const drawn = Math.floor(Math.random() * (last + 1))
    ;[items[last], items[drawn]] = [items[drawn] as Item, items[last] as Item]
  }
  return items
}
