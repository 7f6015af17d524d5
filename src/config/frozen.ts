/** A value that nobody changes, all the way down: the configuration is frozen before anything reads it. */
export type Frozen<T> = T extends readonly unknown[] | Readonly<Record<PropertyKey, unknown>> ? FrozenObject<T> : T

type FrozenObject<T> = { readonly [K in keyof T]: Frozen<T[K]> }
