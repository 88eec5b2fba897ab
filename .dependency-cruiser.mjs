// SPDX-License-Identifier: Apache-2.0
/**
 * Imports point one way. Between workspaces: native-bindings, agent, lab, build from the bottom up on one
 * side, and native-bindings, agent, electron, renderer on the other. Inside the agent and the console's main
 * process the order of the folders is a table below. A type counts as an import: what a layer knows of, it
 * depends on.
 */

/**
 * What each folder of the agent may import beside itself, lowest first. A folder that is not listed may import
 * everything: those are the files that put the agent together (`main.ts`, `agent.ts`, `machine-sources.ts`).
 */
const agentFolders = {
  interface: [],
  varlink: [],
  client: ['varlink', 'interface'],
  host: ['interface'],
  // Of the client only the filter, which both ends of QueryJournal share.
  journal: ['client', 'host', 'interface'],
  qemu: ['host', 'interface'],
  units: ['host', 'interface'],
  kernel: ['journal', 'host', 'interface'],
  liveupdate: ['journal', 'host', 'interface'],
  machines: ['qemu', 'host', 'interface'],
  definitions: ['units', 'qemu', 'host', 'interface'],
  adoption: ['machines', 'liveupdate', 'units', 'qemu', 'journal', 'host', 'interface'],
  'update/record': [
    'adoption',
    'machines',
    'liveupdate',
    'kernel',
    'units',
    'qemu',
    'journal',
    'host',
    'interface',
  ],
};
const belowRecord = ['update/record', ...agentFolders['update/record']];
Object.assign(agentFolders, {
  'update/program': belowRecord,
  rehearsal: ['update/program', ...belowRecord],
  renewal: ['rehearsal', 'update/program', ...belowRecord],
  'update/plan': ['update/program', ...belowRecord],
  'update/depart': ['update/plan', 'update/program', ...belowRecord],
  'update/arrive': ['update/program', ...belowRecord],
  luocon: ['client', 'varlink', 'interface'],
});
/** Method handlers ask the layers below and know neither QEMU nor the service manager. */
const serviceMay = [
  'rehearsal',
  'renewal',
  'update',
  'adoption',
  'definitions',
  'machines',
  'liveupdate',
  'kernel',
  'journal',
  'host',
  'interface',
  'varlink',
];

/** A test may look across: it puts together what it needs. */
const notTests = { pathNot: '\\.(test|fixture)\\.ts$' };

/** The rules that follow from the table: each folder may import itself, what its row names, and the addon. */
function agentLayers() {
  const folder = (name) => `^agent/src/${name}/`;
  const rows = { ...agentFolders, service: serviceMay };
  return [
    ...Object.entries(rows).map(([name, below]) =>
      only(
        `agent ${name}`,
        `imports ${below.join(', ') || 'nothing of the agent'}`,
        folder(name),
        [
          '^native-bindings/src/',
          ...below.map(folder),
          // The version is one line, and the command line prints it.
          ...(name === 'luocon' || name === 'service' ? ['^agent/src/version\\.ts$'] : []),
        ],
        notTests,
      ),
    ),
    only('agent updater', 'is what the service sees of updates', '^agent/src/update/updater\\.ts$', [
      '^native-bindings/src/',
      '^agent/src/update/',
      ...belowRecord.map(folder),
    ]),
    only('agent generator', 'makes the interface and the published schema', '^agent/generator/', [
      folder('definitions'),
      folder('interface'),
      folder('host'),
    ]),
    never('agent generator is not shipped', 'src never imports it', '^agent/src/', '^agent/generator/'),
  ];
}

/** The console's main process: the interface at the bottom, what puts it together on top. */
function electronLayers() {
  const rows = {
    interface: [],
    bridge: ['interface'],
    storage: ['windows', 'interface'],
    replica: ['storage', 'interface'],
    terminals: ['hosts', 'storage', 'interface'],
    hosts: ['storage', 'interface'],
    connections: ['hosts', 'replica', 'terminals', 'storage', 'interface'],
    saving: ['connections', 'hosts', 'replica', 'storage', 'interface'],
    windows: ['interface'],
  };
  return Object.entries(rows).map(([name, below]) =>
    only(
      `electron ${name}`,
      `imports ${below.join(', ') || 'nothing of the console'}`,
      `^electron/src/${name}/`,
      [
        '^native-bindings/src/',
        '^agent/src/(client|interface|varlink)/',
        ...below.map((each) => `^electron/src/${each}/`),
      ],
    ),
  );
}

/** The folders of the window's layers, from the top down. Folders of one layer do not know each other. */
const windowLayers = [
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
  return windowLayers.flatMap((layer, at) => {
    const below = windowLayers.slice(at + 1).flat();
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
function only(name, comment, from, allowed, fromNot = {}) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from, ...fromNot },
    to: {
      path: '^(agent|build|electron|lab|native-bindings|renderer)/(?!node_modules/)',
      pathNot: [from, ...allowed],
    },
  };
}

/** A rule that keeps folders from importing others. */
function never(name, comment, from, to) {
  return { name, comment, severity: 'error', from: { path: from }, to: { path: to } };
}

/**
 * Rules that let each layer of a workspace import itself and those below it. A file belongs to the first layer that
 * its path matches.
 */
function downwards(name, layers) {
  return layers.slice(1).map((layer, index) => ({
    name,
    comment: 'a layer imports downwards only',
    severity: 'error',
    from: { path: layer, pathNot: layers.slice(0, index + 1) },
    to: { path: layers.slice(0, index + 1) },
  }));
}

/** Commands on top, then what each does, then set-up, then what set-up makes; at the bottom what all of them use. */
function buildLayers() {
  const [start, tests] = ['^build/src/start/', '^build/src/test/'];
  return [
    ...downwards('build', [
      '^build/src/(main|bench-command|lab-command|package-console)\\.ts$',
      `${start}|${tests}`,
      '^build/src/setup/',
      '^build/src/electron/|^build/src/package-agent[./]|^build/src/console-stage\\.ts$',
      '^build/src/[^/]+\\.ts$',
      '^build/bootstrap/',
    ]),
    never('build', 'a client program and the tests, side by side', start, tests),
    never('build', 'the tests and a client program, side by side', tests, start),
  ];
}

/** Tests and benchmarks on top, side by side; the lab itself at the bottom. */
function labLayers() {
  return [
    ...downwards('lab', ['^lab/(test/(lab|electron)|bench)/', '^lab/test/support/', '^lab/src/']),
    never('lab', 'measuring is no test', '^lab/bench/', '^lab/test/'),
    never('lab', 'examples stand on the agent alone', '^lab/examples/', '^lab/(?!examples/)'),
  ];
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

    only('native-bindings', 'the lowest layer', '^native-bindings/', [], {
      pathNot: '^native-bindings/test/',
    }),
    only('native tests', 'run the carrier that the package has', '^native-bindings/test/', [
      '^native-bindings/',
      '^build/src/package-agent/carrier\\.ts$',
    ]),
    only('agent', 'stands on the addon alone', '^agent/', ['^native-bindings/src/']),
    only('lab', 'is a host for the agent', '^lab/', [
      '^native-bindings/',
      '^agent/src/(client|interface|varlink)/',
    ]),
    only('build', 'drives the agent and the lab', '^build/', [
      '^agent/src/(client|interface|varlink)/',
      '^lab/src/index\\.ts$',
    ]),
    only('electron', 'is a client of the agent', '^electron/', [
      '^native-bindings/src/',
      '^agent/src/(client|interface|varlink)/',
    ]),
    only(
      'renderer',
      'knows the two interfaces',
      '^renderer/',
      ['^agent/src/interface/', '^electron/src/interface/'],
      { pathNot: '^renderer/test/' },
    ),
    only('renderer tests', 'have a made-up agent that says what the agent says', '^renderer/test/', [
      '^renderer/src/',
      '^agent/src/(interface|update/(plan/plan-machines|record/(facts|steps)))[./]',
      '^electron/src/interface/',
    ]),
    ...windowRules(),
    only('bootstrap', 'runs before there is anything else', '^build/bootstrap', []),

    ...agentLayers(),
    ...electronLayers(),
    ...buildLayers(),
    ...labLayers(),
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
