// SPDX-License-Identifier: Apache-2.0
// xterm.js draws with <style> elements whose text it sets, and with style attributes; the content security policy
// of this window allows neither. Both are allowed when set through the object model, so the terminal is given a document
// that makes elements which do exactly that: a style element whose text goes into a constructed style sheet, and
// elements whose style attribute is set through `style.cssText`.

function styleElement(owner: Document): HTMLStyleElement {
  const element = owner.createElement('style');
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

function plainElement(owner: Document, name: string): HTMLElement {
  const element = owner.createElement(name);
  Object.defineProperty(element, 'setAttribute', {
    value: (attribute: string, value: string) => {
      if (attribute === 'style') element.style.cssText = value;
      else Element.prototype.setAttribute.call(element, attribute, value);
    },
  });
  return element;
}

/** A document for xterm.js's `documentOverride`: `owner` in everything but how styles are set on what it creates. */
export function documentUnderPolicy(owner: Document): Document {
  return new Proxy(owner, {
    get(target, property) {
      if (property === 'createElement') {
        return (name: string) => (name === 'style' ? styleElement(target) : plainElement(target, name));
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
