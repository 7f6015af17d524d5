/** A deeply read-only type: the configuration is frozen before any code reads it. */
export type Frozen<T> = T extends readonly unknown[] | Readonly<Record<PropertyKey, unknown>> ? FrozenObject<T> : T

type FrozenObject<T> = { readonly [K in keyof T]: Frozen<T[K]> }
