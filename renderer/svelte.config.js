// SPDX-License-Identifier: Apache-2.0
/** Runes everywhere, in our own components; libraries decide for themselves. */
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

// The content security policy refuses style attributes that stand in markup; set by a directive they go through the
// object model. bits-ui has one of them.
const stylesUnderPolicy = {
  name: 'styles-under-policy',
  markup({ content, filename }) {
    if (!filename?.includes('bits-ui')) return undefined;
    return { code: content.replaceAll('style="display: contents;"', 'style:display="contents"') };
  },
};

export default {
  preprocess: [stylesUnderPolicy, vitePreprocess()],
  compilerOptions: { css: 'external' },
  vitePlugin: {
    dynamicCompileOptions({ filename }) {
      return filename.includes('node_modules') ? undefined : { runes: true };
    },
  },
};
