// The page for webhooks in a browser: health, attempts, what was sent and answered, tests, sending again, a new secret, turning on again.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { value } from '../lib/db.mjs';
import { noVite, picture, servePage } from '../lib/page.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { until } from '../lib/wait.mjs';

describe('webhooks in a browser', { skip: noBrowser || noVite }, () => {
  let bed, receiver, tab, conversation;
  const failures = [];

  before(async () => {
    bed = await Bed.create();
    const sidecar = await bed.sidecar();
    const backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
    const page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, VITE_CHAT_REALTIME_PROVIDER: 'polling' });
    bed.closing.push(() => page.close());
    receiver = await Receiver.start();
    bed.closing.push(() => receiver.down());
    receiver.secret = (await value(bed.db, `SELECT chat.create_webhook($1, $2, '{message.received}')`, [bed.owner, receiver.url])).secret;
    conversation = await bed.conversation('Ana');
    await bed.message(conversation, 'Bom dia, Ana');
    await until(() => receiver.deliveries.length === 1, 'the delivery');
    tab = await (await launchBrowser({ viewport: { width: 1100, height: 760 } })).newPage();
    bed.closing.push(() => tab.context().close());
    tab.on('pageerror', (error) => failures.push(error.message));
    await tab.goto(`http://127.0.0.1:${page.port}/#token=${backend.token(bed.owner)}&name=Olga`);
  });

  after(() => bed?.close());

  const attempts = () => tab.locator('.attempts tbody tr');

  test('health and attempts; one shows what was sent, and what came back', async () => {
    await tab.getByRole('button', { name: 'Webhooks' }).click();
    const row = tab.locator('.row', { hasText: receiver.url });
    await row.locator('.preview', { hasText: '100 %' }).waitFor();
    await row.click();
    await attempts().first().getByRole('button').click();
    await tab.locator('.payload', { hasText: 'Bom dia, Ana' }).waitFor();
    await tab.locator('.answer', { hasText: '{"ok":true}' }).waitFor();
  });

  test('sent again: the same id once more', async () => {
    await tab.getByRole('button', { name: 'Send again', exact: true }).click();
    await until(() => receiver.deliveries.length === 2, 'it again');
    assert.equal(receiver.deliveries[1].id, receiver.deliveries[0].id);
    await attempts().nth(1).waitFor();
    await tab.getByRole('button', { name: 'Send the last hour again' }).click();
    await until(() => receiver.deliveries.length === 3, 'the last hour');
    assert.equal(receiver.deliveries[2].id, receiver.deliveries[0].id);
  });

  test('a test, and a new secret, which is shown once and good', async () => {
    await tab.getByRole('button', { name: 'New secret' }).click();
    receiver.secret = (await tab.locator('.secret code').textContent()).trim();
    assert.match(receiver.secret, /^whsec_/);
    await tab.getByRole('button', { name: 'Test', exact: true }).click();
    const tested = await until(() => receiver.deliveries.find(({ id }) => id.startsWith('evt_test_')), 'the test');
    // Signed with both: the first one is the new secret's, which standardwebhooks takes; the older form knows the new one alone.
    assert.equal(tested.problem, null);
    await picture(tab, 'webhooks');
  });

  test('turned off by a 410, with the reason, and on again', async () => {
    receiver.answer = () => 410;
    await bed.message(conversation, 'gone');
    await tab.locator('.problem', { hasText: 'the endpoint answered 410 Gone' }).waitFor({ timeout: 30000 });
    await attempts().filter({ hasText: 'HTTP 410' }).waitFor({ timeout: 30000 });
    await picture(tab, 'webhooks-off');
    receiver.answer = () => 200;
    await tab.getByRole('button', { name: 'Turn on' }).click();
    await tab.getByRole('button', { name: 'Turn on' }).waitFor({ state: 'detached', timeout: 30000 });
    await bed.message(conversation, 'back');
    await until(() => receiver.deliveries.some(({ body }) => body.data.content === 'back'), 'a delivery');
  });

  test('no error in the page', () => assert.deepEqual(failures, []));
});
