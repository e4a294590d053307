// Reporter for node:test: one line of JSON per finished test, for run.mjs to count, and one when all has ended: every test and
// hook, and whatever else the process had to do.
export const mark = '\u001etest ';
export const endMark = '\u001eend';

function failure(error) {
  const cause = error?.cause ?? error;
  return cause?.stack ?? String(cause);
}

export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite' && type === 'test:pass') continue;
    yield `${mark}${JSON.stringify({
      name: data.name,
      passed: type === 'test:pass',
      skipped: data.skip !== undefined && data.skip !== false,
      ms: Math.round(data.details.duration_ms),
      error: type === 'test:fail' ? failure(data.details.error) : undefined,
    })}\n`;
  }
  yield `${endMark}\n`;
}
