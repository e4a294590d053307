// Bad states, each in one line that says what to do.
export class Problem extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** {once, port} of the command line and the environment; port 0: any free one. */
export function readArguments(args, env) {
  const [mode = ''] = args;
  if (args.length > 1 || !['', 'once'].includes(mode)) {
    throw new Problem(`DEMO may be "once" or left out, not "${args.join(' ')}"`, 2);
  }
  const given = env.DEMO_PORT ?? '';
  if (given !== '' && !(/^\d{1,5}$/.test(given) && Number(given) >= 1 && Number(given) <= 65535)) {
    throw new Problem(`DEMO_PORT must be a port from 1 to 65535, not "${given}"`, 2);
  }
  return { once: mode === 'once', port: Number(given) };
}

export function explain(error) {
  if (error instanceof Problem) return error.message;
  if (error.syscall === 'listen' && error.code === 'EADDRINUSE') {
    return `port ${error.port} of ${error.address} is in use: name another one with DEMO_PORT, or leave it out for a free one`;
  }
  if (error.syscall === 'listen') return `cannot listen on ${error.address}:${error.port}: ${error.code}`;
  const build = /^make (.*) failed:/.exec(error.message);
  if (build) {
    const cause = error.message.split('\n').find((line) => /\berror\b|\*\*\*|ENOENT/i.test(line)) ?? '';
    return `the build failed, run "make ${build[1]}" to see all of it: ${cause.trim()}`;
  }
  return process.env.DEBUG ? error.stack : error.message;
}
