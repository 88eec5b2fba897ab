// SPDX-License-Identifier: Apache-2.0
/** Mounts the console into its page. */
import { mount } from 'svelte';
import App from './shell/App.svelte';
import { setStylesUnderPolicy } from './shell/styles-under-policy.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/layout.css';

const target = document.getElementById('console');
if (!target) throw new Error('index.html has no element #console');

setStylesUnderPolicy(document);

export default mount(App, { target });
