// SPDX-License-Identifier: Apache-2.0
/**
 * What the page may load: its own files and nothing else. No inline script, no inline style, no `eval`, no
 * network. Some code, such as the terminal's, makes style sheets at run time. It uses constructed style
 * sheets or the CSSOM, which the policy allows to admitted scripts.
 */

/** Scheme and address of the interface. */
export const pageScheme = 'luo';
export const pageOrigin = `${pageScheme}://console`;
export const pageUrl = `${pageOrigin}/index.html`;

/** The `Content-Security-Policy` header. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer of the page protocol. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': contentSecurityPolicy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-cache',
};

/** Whether `url` is a page of the interface. */
export function isPageUrl(url: string): boolean {
  return url === pageOrigin || url.startsWith(`${pageOrigin}/`);
}
