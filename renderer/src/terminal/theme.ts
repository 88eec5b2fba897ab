// SPDX-License-Identifier: Apache-2.0
/**
 * The colours of terminals. Ground, text, cursor and selection are the window's. The sixteen colours of programs
 * are chosen to be readable on it.
 */
import type { ITheme } from '@xterm/xterm';

const light: ITheme = {
  black: '#1b1f24',
  red: '#b3212b',
  green: '#12703f',
  yellow: '#7d5200',
  blue: '#2350b8',
  magenta: '#8430a0',
  cyan: '#0f6a7d',
  white: '#5d6570',
  brightBlack: '#68717d',
  brightRed: '#c8333c',
  brightGreen: '#187f4a',
  brightYellow: '#8c5e00',
  brightBlue: '#3763d6',
  brightMagenta: '#9a43b8',
  brightCyan: '#12788d',
  brightWhite: '#2b3138',
};

const dark: ITheme = {
  black: '#39424d',
  red: '#ff8f88',
  green: '#5fd39a',
  yellow: '#f0b95c',
  blue: '#8fb3ff',
  magenta: '#dc9af0',
  cyan: '#69cfe0',
  white: '#cfd5dc',
  brightBlack: '#8a95a3',
  brightRed: '#ffb0ab',
  brightGreen: '#8be6b8',
  brightYellow: '#ffd38c',
  brightBlue: '#b4ccff',
  brightMagenta: '#ecbcfa',
  brightCyan: '#9ae6f2',
  brightWhite: '#f3f5f7',
};

function token(probe: HTMLElement, name: string): string {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function isDark(colour: string): boolean {
  const [red = 255, green = 255, blue = 255] = (colour.match(/\d+(\.\d+)?/g) ?? []).map(Number);
  return red + green + blue < 384;
}

/** The theme that goes with the window's appearance right now. @param within an element of the page */
export function terminalTheme(within: HTMLElement): ITheme {
  const probe = within.ownerDocument.createElement('span');
  within.append(probe);
  const background = token(probe, '--surface');
  const foreground = token(probe, '--text');
  const selection = token(probe, '--line-strong');
  const slider = token(probe, '--line-strong');
  probe.remove();
  return {
    ...(isDark(background) ? dark : light),
    background,
    foreground,
    cursor: foreground,
    cursorAccent: background,
    selectionBackground: selection,
    scrollbarSliderBackground: slider,
    scrollbarSliderHoverBackground: slider,
    scrollbarSliderActiveBackground: slider,
  };
}
