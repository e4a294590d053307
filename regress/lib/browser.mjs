// Chromium for tests, each with a profile of its own.
import { existsSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { addDirectory } from './janitor.mjs';

const executablePath = '/usr/bin/chromium';

/** For the skip option of a test: what is missing, or false. */
export const noBrowser = !existsSync(executablePath) && `needs ${executablePath}`;

export async function launchBrowser(options = {}) {
  const { chromium } = await import('playwright-core');
  const profile = mkdtempSync(path.join(os.tmpdir(), 'chat_realtime-chromium-'));
  addDirectory(profile);
  const browser = await chromium.launchPersistentContext(profile, { executablePath, headless: true, ...options,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'] });
  browser.setDefaultTimeout(30_000);
  return browser;
}
