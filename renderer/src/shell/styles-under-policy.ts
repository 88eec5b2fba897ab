// SPDX-License-Identifier: Apache-2.0
/**
 * The content security policy of the window allows no `<style>` element and no style attribute, but it allows styles
 * set through the object model. The terminal, `xterm.js`, uses elements and attributes, so they are translated here
 * with the same effect. A style element made by script keeps its rules in a constructed style sheet. A style attribute
 * set by script is set through `style.cssText`.
 */

function styleElement(owner: Document): HTMLElement {
  // Even an empty style element would be refused, so another one that is never shown stands in for it.
  const element = Document.prototype.createElement.call(owner, 'template');
  const sheet = new CSSStyleSheet();
  owner.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    get: () => [...sheet.cssRules].map((rule) => rule.cssText).join('\n'),
    set: (text: string) => sheet.replaceSync(text),
  });
  Object.defineProperty(element, 'remove', {
    value: () => {
      owner.adoptedStyleSheets = owner.adoptedStyleSheets.filter((adopted) => adopted !== sheet);
      Element.prototype.remove.call(element);
    },
  });
  return element;
}

/**
 * Makes scripts' style elements and style attributes work under the policy. Call it once, before anything is mounted.
 */
export function setStylesUnderPolicy(owner: Document): void {
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function set(this: Element, name: string, value: string) {
    if (name === 'style' && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
  Object.defineProperty(owner, 'createElement', {
    configurable: true,
    value: (name: string, options?: ElementCreationOptions) =>
      name.toLowerCase() === 'style'
        ? styleElement(owner)
        : Document.prototype.createElement.call(owner, name, options),
  });
}
