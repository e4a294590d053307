// What a client sees of an error: {error, code, …}. PostgreSQL's own texts, and those of the tables, never leave the server.
import pg from 'pg';

const { DatabaseError } = pg;

export class HttpError extends Error {
  constructor(status, code, message, details = {}) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

/** Tells the client where it stands, in the standard's headers and in those of the old API. */
export function rateLimitHeaders(res, name, limit, { remaining, reset_at: resetAt, retry_after: retryAfter }) {
  if (remaining === null) return; // limits are off, or the key was not accepted
  const seconds = Math.max(0, Math.ceil((resetAt - Date.now()) / 1000));
  res.append('RateLimit-Policy', `"${name}";q=${limit};w=60`);
  res.append('RateLimit', `"${name}";r=${remaining};t=${seconds}`);
  res.set({ 'X-RateLimit-Limit': limit, 'X-RateLimit-Remaining': remaining, 'X-RateLimit-Reset': resetAt.toISOString() });
  if (retryAfter > 0) res.set('Retry-After', Math.ceil(retryAfter));
}

export const notFound = (what) => new HttpError(404, 'NOT_FOUND', `${what} not found`);

const tooDeep = [400, 'TOO_COMPLEX', 'A value is nested too deeply, or too large'];

/** SQLSTATE, or its class, → status, code, text. */
const sqlStates = {
  22001: [400, 'VALUE_TOO_LONG', 'A value is too long'],
  22004: [400, 'VALUE_MISSING', 'A required value is missing'],
  22: [400, 'INVALID_VALUE', 'A value is not valid'],
  23502: [400, 'NOT_NULL_VIOLATION', 'A required value is missing'],
  23503: [400, 'FOREIGN_KEY_VIOLATION', 'A value refers to something that does not exist'],
  23505: [409, 'DUPLICATE_KEY', 'Record already exists'],
  23514: [400, 'CHECK_VIOLATION', 'A value is not allowed'],
  40: [503, 'CONFLICT', 'Another request was in the way, please try again'],
  42501: [403, 'INSUFFICIENT_PRIVILEGE', 'Access denied'],
  PT429: [429, 'RATE_LIMIT_EXCEEDED', 'Too many messages'],
  53400: [503, 'RATE_LIMIT_UNAVAILABLE', 'Rate limits cannot be kept at the moment, please try again'],
  53: [503, 'SERVICE_UNAVAILABLE', 'The service is busy, please try again'],
  54000: [503, 'SERVICE_UNAVAILABLE', 'The service is busy, please try again'], // such as a full queue of NOTIFY
  54: tooDeep,
  '08': [503, 'SERVICE_UNAVAILABLE', 'The service is not available, please try again'],
  55000: [503, 'NOT_READY', 'The service is not set up'],
  '55P03': [503, 'CONFLICT', 'Another request was in the way, please try again'],
  57: [503, 'SERVICE_UNAVAILABLE', 'The service is not available, please try again'],
};

const camelCase = (column) => column.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** What a function of schema chat says of a value is meant for whoever gave the value: it names the key, and what it may hold. */
const isForCaller = ({ code, routine, where = '' }) => code.startsWith('22')
  && (routine === 'chat_bad_input' || (routine === 'exec_stmt_raise' && /^.* chat\.\w+\(.*RAISE\n?/.test(where)));

/** Of what the trigger that looks at messages says, the parts that are not for whoever runs the database. */
const forCaller = (text = '') => text.split(/, or |\. /).filter((part) => !/chat[._]|column|CHECK|SQL/.test(part)).join('. ') || undefined;

/** The same of its hint. Of a CHECK that it quotes, the words that the CHECK lists. */
function hintForCaller(hint = '') {
  const check = /^Constraint ".*" allows: (.*)/.exec(hint)?.[1];
  if (check === undefined) return forCaller(hint);
  const words = /^(?!.*\bNOT\b).* = ANY \(+ARRAY\[([^\]]*)\]/.exec(check)?.[1].match(/'[^']*'/g);
  return words && `Allowed: ${words.map((word) => word.slice(1, -1)).join(', ')}.`;
}

function ofDatabase(error) {
  const [status, code, text] = sqlStates[error.code] ?? sqlStates[error.code.slice(0, 2)] ?? [];
  if (!status) return undefined;
  const field = error.column && camelCase(error.column);
  if (isForCaller(error)) return new HttpError(status, code, error.message, { field, hint: error.hint || undefined });
  if (error.file === 'validate.c') return new HttpError(status, code, forCaller(error.message) ?? text, { field, hint: hintForCaller(error.hint) });
  return new HttpError(status, code, text, { field });
}

/** Of express and its body parsers, which name the status they want. */
function ofRequest({ status, type }) {
  if (type === 'entity.parse.failed') return new HttpError(400, 'INVALID_JSON', 'Request body is not valid JSON');
  if (status === 413) return new HttpError(413, 'BODY_TOO_LARGE', 'Request body is too large');
  return new HttpError(status, 'BAD_REQUEST', 'The request is not valid');
}

/** The server cannot be reached, or went away in the middle. */
const isLostConnection = (error) => /^E[A-Z]+$/.test(error.code ?? '') || /connect/i.test(error.message);

function toHttp(error) {
  if (error instanceof HttpError) return error;
  if (error instanceof DatabaseError) return ofDatabase(error);
  if (error.status >= 400 && error.status < 500) return ofRequest(error);
  if (error instanceof RangeError) return new HttpError(...tooDeep); // JSON could be read, but not be written again
  return isLostConnection(error) ? new HttpError(...sqlStates['08']) : undefined;
}

/** Express' last middleware. log gets what is nobody's bad input. */
export const answerErrors = (log) => (error, req, res, next) => {
  const known = toHttp(error);
  if (!known || known.status === 503 || known.code === 'INSUFFICIENT_PRIVILEGE') log(error, req); // the last: a grant is missing
  if (res.headersSent) return next(error);
  const { status, code, message, details } = known ?? new HttpError(500, 'INTERNAL_ERROR', 'Internal server error');
  if (status === 503 || status === 429) res.set('Retry-After', res.get('Retry-After') ?? '1');
  res.status(status).json({ error: message, code, ...details });
};
