// React in a page without a bundler: its development builds, which have StrictMode's double mount, behind a require of their own.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './workspace.mjs';

const modules = path.join(root, 'examples/react/node_modules');
const files = {
  react: 'react/cjs/react.development.js',
  scheduler: 'scheduler/cjs/scheduler.development.js',
  'react-dom': 'react-dom/cjs/react-dom.development.js',
  'react-dom/client': 'react-dom/cjs/react-dom-client.development.js',
};
/** For the skip option of a test: what is missing, or false. */
export const noReact = !existsSync(path.join(modules, files.react)) && 'needs npm ci in examples/react';

/** A script that leaves React and createRoot in the page. */
export function reactScript() {
  const sources = Object.entries(files).map(([name, file]) => `${JSON.stringify(name)}: (module, exports, require) => {${readFileSync(path.join(modules, file), 'utf8')}\n}`);
  return `(() => {
    window.process = { env: { NODE_ENV: 'development' } };
    const sources = {${sources.join(',')}};
    const made = {};
    const require = (name) => {
      if (!made[name]) {
        made[name] = { exports: {} };
        sources[name](made[name], made[name].exports, require);
      }
      return made[name].exports;
    };
    window.React = require('react');
    window.createRoot = require('react-dom/client').createRoot;
  })();`;
}
