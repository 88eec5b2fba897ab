// SPDX-License-Identifier: Apache-2.0
/**
 * Makes a standalone picture of a drawing on the page. The look that style sheets give it is written into it, and
 * a title and a background are added.
 */

/** What of an element's look a drawing needs; attributes of the same names exist in SVG. */
const looks = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'opacity',
  'font-family',
  'font-size',
  'font-weight',
] as const;

const titleHeight = 34;
const margin = 16;

export interface Picture {
  /** An SVG document. */
  text: string;
  /** Pixels. */
  width: number;
  height: number;
}

function copyLook(from: Element, to: Element): void {
  const style = getComputedStyle(from);
  for (const look of looks) {
    // A filling that names a pattern is an attribute already, and means the same in the copy.
    const value = to.getAttribute(look)?.startsWith('url(') ? '' : style.getPropertyValue(look);
    if (value && value !== 'none' && value !== 'normal') to.setAttribute(look, value);
    else if (look === 'fill' && value === 'none') to.setAttribute(look, value);
  }
  to.removeAttribute('class');
  to.removeAttribute('style');
  [...from.children].forEach((child, at) => {
    const copy = to.children[at];
    if (copy) copyLook(child, copy);
  });
}

function element(owner: Document, name: string, attributes: Record<string, string | number>): SVGElement {
  const made = owner.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** Takes a drawing off the page. @param title stands above it */
export function standalone(drawing: SVGSVGElement, title: string): Picture {
  const owner = drawing.ownerDocument;
  const style = getComputedStyle(drawing);
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  copyLook(drawing, copy);
  const comments = owner.createTreeWalker(copy, NodeFilter.SHOW_COMMENT);
  const dead: Node[] = [];
  while (comments.nextNode()) dead.push(comments.currentNode);
  for (const comment of dead) comment.parentNode?.removeChild(comment);

  const width = Number(drawing.getAttribute('width')) + 2 * margin;
  const height = Number(drawing.getAttribute('height')) + titleHeight + 2 * margin;
  const frame = { x: -margin, y: -margin - titleHeight, width, height };
  const heading = element(owner, 'text', {
    x: 0,
    y: -titleHeight + 12,
    fill: style.color || 'black',
    'font-size': 14,
    'font-weight': 600,
    'font-family': style.getPropertyValue('font-family') || 'sans-serif',
  });
  heading.textContent = title;
  const surface = element(owner, 'rect', { ...frame, fill: surfaceOf(drawing) });
  copy.prepend(surface, heading);
  for (const [name, value] of Object.entries({ width, height })) copy.setAttribute(name, String(value));
  copy.setAttribute('viewBox', `${frame.x} ${frame.y} ${width} ${height}`);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

/** The background behind a drawing: that of the nearest element around it which has one. */
function surfaceOf(drawing: Element): string {
  for (let around = drawing.parentElement; around; around = around.parentElement) {
    const colour = getComputedStyle(around).backgroundColor;
    if (colour && colour !== 'transparent' && !/,\s*0\)$/.test(colour)) return colour;
  }
  return 'white';
}

/** Points of a PNG for a pixel of the drawing. */
const density = 2;

/** Draws a picture as a PNG. @returns base64 @throws Error if the browser cannot draw it */
export async function drawPng({ text, width, height }: Picture): Promise<string> {
  const url = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
  try {
    const image = new Image(width, height);
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil(width * density);
    canvas.height = Math.ceil(height * density);
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL('image/png').replace(/^data:image\/png;base64,/, '');
  } finally {
    URL.revokeObjectURL(url);
  }
}
