/** Line drawings of 24 by 24, in the colour of the text around them. */
const paths = {
  back: "M15 5l-7 7 7 7",
  more: "M5 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2zM12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2zM19 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  reply: "M10 8V4L3 11l7 7v-4c5 0 8 1 11 5-1-6-4-10-11-11z",
  edit: "M4 20l1-5L16 4l4 4L9 19l-5 1zM14 6l4 4",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6",
  sent: "M5 13l4 4L19 7",
  both: "M2 13l4 4L16 7M10 15l2 2L22 7",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  alert: "M12 3l10 18H2L12 3zM12 10v4M12 17.5h.01",
  mute: "M6 16V11a6 6 0 0 1 9-5M18 11v5l2 2H6M10 21h4M4 4l16 16",
  plus: "M12 5v14M5 12h14",
  send: "M4 12l16-8-6 16-3-7-7-1z",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.5h.01",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  block: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  bird: "M3 8c5-1 7 1 9 4 3-5 6-7 9-8-1 4-2 8-6 11-3 2-5 3-6 6-1-3-1-4-3-5l-3 1 2-4C4 11 4 9 3 8z",
} as const;

export type IconName = keyof typeof paths;

const namespace = "http://www.w3.org/2000/svg";

/** With a label it says something; without one it is an ornament. */
export function icon(name: IconName, label = ""): SVGSVGElement {
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}
