// SPDX-License-Identifier: Apache-2.0
//
// Imports point one way. Between workspaces: native-bindings, agent, lab, build from the bottom up on one
// side, and native-bindings, agent, electron, renderer on the other. Inside the agent: service, update,
// then adoption, then liveupdate, machines and kernel side by side, then native-bindings; everything may write to the
// journal, and the journal knows nobody. A type counts as an import: what a layer knows of, it depends on.

/** The agent's folders that an operator's machine has no use for. */
const DAEMON = 'adoption|journal|kernel|liveupdate|machines|service|update';

/** The folders of the window's layers, from the top down. Folders of one layer do not know each other. */
const WINDOW = [
  ['shell'],
  ['history'],
  ['update'],
  ['update/choose', 'update/plan', 'update/run', 'update/outcome'],
  ['hosts', 'machines', 'sessions'],
  ['order', 'terminal', 'timeline'],
  ['components'],
  ['state'],
  ['words'],
  ['bridge', 'format'],
];

/** The rules that keep each folder of the window from importing anything but layers below its own. */
function windowRules() {
  return WINDOW.flatMap((layer, at) => {
    const below = WINDOW.slice(at + 1).flat();
    return layer.map((folder) => ({
      name: `window-${folder.replace('/', '-')}`,
      comment: `imports itself and ${below.length > 0 ? below.join(', ') : 'nothing else of the window'}`,
      severity: 'error',
      from: { path: `^renderer/src/${folder}/[^/]+$`, pathNot: '\\.test\\.ts$' },
      to: { path: '^renderer/src/', pathNot: [folder, ...below].map((one) => `^renderer/src/${one}/[^/]+$`) },
    }));
  });
}

/** A rule that lets a folder import nothing of the repository but what is named. */
function only(name, comment, from, allowed) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from },
    to: {
      path: '^(agent|build|electron|lab|native-bindings|renderer)/',
      pathNot: [from, ...allowed],
    },
  };
}

/** A rule that keeps folders from importing others. */
function never(name, comment, from, to) {
  return { name, comment, severity: 'error', from: { path: from }, to: { path: to } };
}

export default {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared',
      comment: 'a package is used only by a workspace whose package.json names it',
      severity: 'error',
      from: { path: '/src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-tests-in-programs',
      severity: 'error',
      from: { path: '/src/', pathNot: '\\.test\\.ts$' },
      to: { path: '\\.(test|lab)\\.ts$|^[^/]+/test/' },
    },

    only('native-bindings', 'the lowest layer', '^native-bindings/', []),
    only('agent', 'stands on the addon alone', '^agent/', ['^native-bindings/src/']),
    only('lab', 'is a host for the agent', '^lab/', [
      '^native-bindings/',
      '^agent/src/(client|interface|varlink)/',
    ]),
    only('build', 'drives the agent and the lab', '^build/', [
      '^agent/src/(client|interface|varlink)/',
      // The manual of luoctl is made from its commands.
      '^agent/src/luoctl/(exit-status|program)\\.ts$',
      '^lab/src/index\\.ts$',
    ]),
    only('electron', 'is a client of the agent', '^electron/', [
      '^native-bindings/src/',
      '^agent/src/(client|interface|varlink)/',
    ]),
    only('renderer', 'knows the two interfaces', '^renderer/', [
      '^agent/src/interface/',
      '^electron/src/bridge/',
    ]),
    ...windowRules(),
    only('bootstrap', 'runs before there is anything else', '^build/bootstrap', []),

    only('varlink', 'is a protocol and knows nothing of the agent', '^agent/src/varlink/', [
      '^native-bindings/src/',
    ]),
    only('client', 'is what everybody outside the daemon uses', '^agent/src/client/', [
      '^native-bindings/src/',
      '^agent/src/(interface|varlink)/',
    ]),
    never('luoctl', 'is a client like any other', '^agent/src/luoctl/', `^agent/src/(${DAEMON})/`),
    never(
      'journal',
      'imports nothing but SQLite',
      '^agent/src/journal/',
      `^agent/src/(?!journal/|interface/)`,
    ),
    never(
      'siblings',
      'side by side',
      '^agent/src/kernel/',
      '^agent/src/(adoption|liveupdate|machines|update|service)/',
    ),
    never(
      'siblings',
      'side by side',
      '^agent/src/liveupdate/',
      '^agent/src/(adoption|kernel|machines|update|service)/',
    ),
    never(
      'siblings',
      'side by side',
      '^agent/src/machines/',
      '^agent/src/(adoption|kernel|liveupdate|update|service)/',
    ),
    never(
      'adoption',
      'brings machines and sessions together, and knows no update',
      '^agent/src/adoption/',
      '^agent/src/(kernel|update|service|varlink)/',
    ),
    never('update', 'does not know who asks', '^agent/src/update/', '^agent/src/(service|varlink)/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|node_modules/\\.vite)/|^native-bindings/build/|^build/agent-package/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'svelte', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.svelte', '.d.ts'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
