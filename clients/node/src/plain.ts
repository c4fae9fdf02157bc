/** Objects that are all that they look like. */

/**
 * The object, where it is one as `{…}` makes it. Throws TypeError for any other: a copy of a Map, or
 * of an object of a class with getters, has nothing, and would require nothing.
 */
export function plain<T extends object>(name: string, value: T): T {
  // A prototype without one of its own is Object's, of whichever realm.
  const prototype: unknown = Object.getPrototypeOf(Object(value));
  const isPlain =
    typeof value === "object" && (prototype === null || Object.getPrototypeOf(prototype) === null);
  if (!isPlain) {
    throw new TypeError(`${name} must be a plain object`);
  }
  return value;
}
