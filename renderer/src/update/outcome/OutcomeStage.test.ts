// SPDX-License-Identifier: Apache-2.0
/** The last stage: the report, and where to go from it. */
import { fireEvent, screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import { host, update } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import OutcomeStage from './OutcomeStage.svelte';

function show() {
  const run = new UpdateView('h1');
  const ended = update();
  run.state = { ...run.state, stage: 'settled', update: ended };
  return { ...renderInConsole(OutcomeStage, { host: host(), run, update: ended }), run };
}

test('the outcome is found again in History', async () => {
  const { app } = show();
  expect(screen.getByRole('heading', { name: 'Updated' })).toBeTruthy();
  await fireEvent.click(screen.getByRole('button', { name: 'Show in History' }));
  expect(app).toMatchObject({ view: 'history', historyTab: 'updates', selectedUpdate: 'u-0003' });
});

test('from the outcome another update is begun', async () => {
  const { run } = show();
  await fireEvent.click(screen.getByRole('button', { name: 'Another live update' }));
  expect(run.state).toMatchObject({ stage: 'choose', update: null });
});
