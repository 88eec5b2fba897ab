// SPDX-License-Identifier: Apache-2.0
/**
 * The text that a person can read in a file. In Markdown it is paragraphs and cells, in a manual page its paragraphs,
 * in an interface description its comments. In a program it is string literals, in a component the text in its markup,
 * and in a source file the comment at its head. Code in backquotes and values put into a text count as one word.
 */
import { lexer, type Token, type Tokens } from 'marked';
import { parse } from 'svelte/compiler';
import ts from 'typescript';

/** A piece of text that belongs together; a sentence never reaches beyond it. */
export interface Text {
  /** The line it begins on, from 1. */
  readonly line: number;
  readonly text: string;
}

/** What stands for a piece of code or a value; a capital, so that a sentence may begin with it. */
const placeholder = 'X';

const lineAt = (source: string, offset: number): number => source.slice(0, offset).split('\n').length;

/** A string of a program is a text if it has more than one word. */
const isProse = (text: string): boolean => /\p{L}\S*\s+\S*\p{L}/u.test(text);

function inline(tokens: readonly Token[]): string {
  return tokens
    .map((token): string => {
      if (token.type === 'codespan') return placeholder;
      if (token.type === 'br') return ' ';
      if (token.type === 'html') return '';
      const { tokens: inner, text } = token as Tokens.Generic;
      return inner ? inline(inner) : (text ?? '');
    })
    .join('');
}

/** @param skipColumn the heading of a table column to leave out */
export function textsOfMarkdown(source: string, skipColumn?: string): Text[] {
  const found: Text[] = [];
  const walkTable = ({ header, rows }: Tokens.Table, line: number): void => {
    const skipped = header.findIndex(({ text }) => text === skipColumn);
    for (const [row, cells] of [header, ...rows].entries()) {
      // Between the heading and the first row is the line that draws the table.
      const rowLine = line + (row === 0 ? 0 : row + 1);
      for (const [column, { tokens }] of cells.entries())
        if (column !== skipped) found.push({ line: rowLine, text: inline(tokens) });
    }
  };
  /** @param first the line on which these tokens begin */
  const walk = (tokens: readonly Tokens.Generic[], first: number): void => {
    let line = first;
    for (const token of tokens) {
      if (token.type === 'table') walkTable(token as Tokens.Table, line);
      else if (token.type === 'list') walk((token as Tokens.List).items, line);
      else if (token.type === 'list_item' || token.type === 'blockquote') walk(token.tokens ?? [], line);
      else if (!['code', 'space', 'html'].includes(token.type))
        found.push({ line, text: inline(token.tokens ?? []) });
      line += token.raw.split('\n').length - 1;
    }
  };
  walk(lexer(source), 1);
  return found;
}

/** Text without changes of font and without escapes. */
const troffText = (text: string): string =>
  text.replace(/\\f[BIRP]/g, '').replace(/\\(.)/g, (_, character: string) => (character === '-' ? '-' : ''));

const fontRequests = ['B', 'I', 'BR', 'RB', 'BI', 'IR', 'RI'];

/**
 * What a request for a font prints. In one font it is a name or a command, which counts as code; in two fonts the
 * arguments are printed without blanks between them.
 */
function troffWords(request: string, rest: string): string {
  if (request.length === 1) return placeholder;
  const words = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
  return troffText(words.join(''));
}

export function textsOfManual(source: string): Text[] {
  const found: Text[] = [];
  let paragraph: string[] = [];
  let start = 1;
  let code = false;
  const end = (): void => {
    if (paragraph.length > 0) found.push({ line: start, text: paragraph.join(' ') });
    paragraph = [];
  };
  for (const [index, line] of source.trimEnd().split('\n').entries()) {
    const [, request, rest = ''] = /^\.(\S+)\s*(.*)$/.exec(line) ?? [];
    if (request === 'nf' || request === 'fi') code = request === 'nf';
    else if (code || line.startsWith('.\\"')) continue;
    else if (request !== undefined && !fontRequests.includes(request)) end();
    else {
      if (paragraph.length === 0) start = index + 1;
      paragraph.push(request === undefined ? troffText(line) : troffWords(request, rest));
    }
  }
  end();
  return found;
}

export function textsOfVarlink(source: string): Text[] {
  const found: Text[] = [];
  let block: string[] = [];
  let start = 1;
  for (const [index, line] of `${source}\n`.split('\n').entries()) {
    const comment = /^\s*#\s?(.+)$/.exec(line)?.[1];
    if (comment !== undefined) {
      if (block.length === 0) start = index + 1;
      block.push(comment);
    } else if (block.length > 0) {
      found.push({ line: start, text: block.join(' ').replace(/`[^`]*`/g, placeholder) });
      block = [];
    }
  }
  return found;
}

/**
 * The comment at the head of a source file. A blank line ends a text, and an item of a list is one. Other lines that
 * are indented are a drawing or an example.
 *
 * @param source its second line begins the comment
 */
export function textsOfHeader(source: string): Text[] {
  const [, ...lines] = source.split('\n');
  const [comment = ''] = lines.join('\n').split(/\*\/|-->/, 1);
  const found: Text[] = [];
  let paragraph: string[] = [];
  let inItem = false;
  // In place of the first line, which has the licence, and to end the last text.
  for (const [index, line] of ['', ...comment.split('\n'), ''].entries()) {
    const text = line.replace(/^(\/\*\*|<!--| \*| {5})/, '').replace(/^ /, '');
    const beginsItem = text.startsWith('- ');
    const goesOn: boolean = inItem ? /^ {2}\S/.test(text) : /^\S/.test(text);
    if (paragraph.length > 0 && (beginsItem || !goesOn)) {
      const whole = paragraph
        .join(' ')
        .trim()
        .replace(/`[^`]*`/g, placeholder);
      found.push({ line: index + 1 - paragraph.length, text: whole });
      paragraph = [];
    }
    inItem = beginsItem || (inItem && goesOn);
    if (inItem || /^\S/.test(text)) paragraph.push(text.replace(/^(- | {2})/, ''));
  }
  return found;
}

/** Each line of a string is a text: a string with several lines is a list or a table. */
function addString(found: Text[], line: number, text: string): void {
  for (const [index, piece] of text.split('\n').entries())
    if (isProse(piece)) found.push({ line: line + index, text: piece });
}

export function textsOfTypeScript(source: string): Text[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const found: Text[] = [];
  const visit = (node: ts.Node): void => {
    const line = (): number => file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node))
      addString(found, line(), node.text);
    else if (ts.isTemplateExpression(node)) {
      const spans = node.templateSpans.map(({ literal }) => placeholder + literal.text);
      addString(found, line(), node.head.text + spans.join(''));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Elements that stand inside a sentence. */
const inlineElements = new Set(['a', 'b', 'code', 'em', 'i', 'kbd', 'span', 'strong']);
/** Attributes that nobody reads. */
const unread = new Set(['class', 'style', 'd', 'points', 'viewBox', 'transform', 'pattern', 'src']);

/** As much of a node of Svelte's tree as matters here; which members there are depends on its type. */
interface SvelteNode {
  readonly type: string;
  readonly start: number;
  readonly name?: string;
  /** Of a text. */
  readonly data?: string;
  readonly fragment?: Fragment;
  readonly nodes?: readonly SvelteNode[];
  readonly value?: unknown;
  readonly quasis?: readonly { readonly value: { readonly cooked: string } }[];
}
interface Fragment {
  readonly nodes: readonly SvelteNode[];
}
const isNode = (value: unknown): value is SvelteNode =>
  typeof value === 'object' && value !== null && 'type' in value && 'start' in value;

/** The text of neighbours in markup; a block or another component ends it. */
function markup(nodes: readonly SvelteNode[]): { text: string; start: number }[] {
  const pieces = [{ text: '', start: nodes[0]?.start ?? 0 }];
  const append = (text: string, start: number): void => {
    const last = pieces.at(-1);
    if (last === undefined) return;
    if (last.text.trim() === '') last.start = start;
    last.text += text;
  };
  for (const node of nodes) {
    if (node.type === 'Text') {
      const text = node.data ?? '';
      append(text, node.start + text.length - text.trimStart().length);
    } else if (node.type === 'ExpressionTag') append(placeholder, node.start);
    else if (node.type === 'RegularElement' && inlineElements.has(node.name ?? '')) {
      const inner = markup(node.fragment?.nodes ?? []);
      append(node.name === 'code' ? placeholder : inner.map(({ text }) => text).join(' '), node.start);
    } else if (node.type !== 'Comment') pieces.push({ text: '', start: node.start });
  }
  return pieces;
}

export function textsOfSvelte(source: string): Text[] {
  const found: Text[] = [];
  const add = (start: number, text: string): void => {
    const whole = text.replace(/\s+/g, ' ').trim();
    if (isProse(whole)) found.push({ line: lineAt(source, start), text: whole });
  };
  const visit = (node: SvelteNode): void => {
    if (node.type === 'Attribute' && unread.has(node.name ?? '')) return;
    if (node.type === 'Fragment') for (const { start, text } of markup(node.nodes ?? [])) add(start, text);
    else if (node.type === 'Attribute' && Array.isArray(node.value))
      for (const { start, text } of markup(node.value as SvelteNode[])) add(start, text);
    else if (node.type === 'Literal' && typeof node.value === 'string') add(node.start, node.value);
    else if (node.type === 'TemplateLiteral') {
      add(node.start, (node.quasis ?? []).map(({ value }) => value.cooked).join(placeholder));
    }
    for (const [key, value] of Object.entries(node)) {
      if (key === 'css') continue;
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child);
      if (isFragment(value)) visit({ type: 'Fragment', nodes: value.nodes, start: node.start });
    }
  };
  visit({ ...(parse(source, { modern: true }) as unknown as SvelteNode), start: 0 });
  return found;
}

/** A fragment has no position in Svelte's tree. */
function isFragment(value: unknown): value is Fragment {
  return typeof value === 'object' && value !== null && 'nodes' in value && !('start' in value);
}
