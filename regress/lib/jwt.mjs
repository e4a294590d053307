// The demo has it, too.
export * from '../../examples/demo/lib/jwt.mjs';
