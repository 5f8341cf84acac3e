// A compile-time check that a schema takes exactly what a documented type says.

type DeepReadonly<T> = T extends object ? {readonly [K in keyof T]: DeepReadonly<T[K]>} : T;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `true` when the two types are the same but for `readonly`, else `false`: a constant of this type set to true proves it. */
export type Agree<Schema, Type> = Same<DeepReadonly<Schema>, DeepReadonly<Type>>;
