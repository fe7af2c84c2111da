/** One child of a list: the same key is the same element for as long as it is wanted. */
export interface View {
  readonly key: string;
  make(): HTMLElement;
  /** Brings an element that stands up to date; without it, it stays as it was made. */
  update?(element: HTMLElement): void;
}

const keys = new WeakMap<Element, string>();

/**
 * Makes a parent's children those that are wanted, and touches only what differs: a screen reader reads what
 * is new and not all anew, and focus, selection and place stay.
 */
export function reconcile(parent: HTMLElement, wanted: readonly View[]): void {
  const focused = document.activeElement;
  const wantedKeys = new Set(wanted.map(({ key }) => key));
  const standing = new Map<string, HTMLElement>();
  for (const child of [...parent.children] as HTMLElement[]) {
    const key = keys.get(child) ?? "";
    if (wantedKeys.has(key)) standing.set(key, child);
    else child.remove();
  }
  let place = parent.firstElementChild;
  for (const { key, make, update } of wanted) {
    const element = standing.get(key) ?? make();
    update?.(element);
    keys.set(element, key);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  // An element that was moved has lost it.
  if (focused instanceof HTMLElement && parent.contains(focused))
    focused.focus({ preventScroll: true });
}
