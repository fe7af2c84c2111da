type Child = Node | string;
type Properties<K extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[K], "attributes" | "dataset" | "style">
> & { attributes?: Record<string, string> };

/** An element with its properties and children; text is always text. */
export function el<K extends keyof HTMLElementTagNameMap>(
  name: K,
  { attributes, ...properties }: Properties<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
