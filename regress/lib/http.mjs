// The demo has it, too.
export * from '../../examples/demo/lib/http.mjs';
