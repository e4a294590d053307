// The access token of the signed-in user, renewed before it is over, so that nothing has to be loaded again.
//
// A product that signs in with supabase.auth needs none of this but the interface: get is
// async () => (await supabase.auth.getSession()).data.session!.access_token, and the client renews by itself.

export interface Tokens {
  /** A token that is good for a while. */
  get(): Promise<string>;
  /** Another one, since the server did not take that of get. */
  renew(): Promise<string>;
  /** When the present one should be replaced, in milliseconds since 1970; undefined: it is not renewed. */
  renewAt(): number | undefined;
}

/** Milliseconds before its end at which a token is replaced, or half of its time where that is less. */
const ahead = 60_000;

/** The claims of a token; the server verifies it, the page only reads it. */
export function claimsOf(token: string): { sub: string; exp: number } {
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))));
}

/** A token, and where another one comes from: POST with the present one, answered with {token}. Without an address it stays as it is. */
export function createTokens(first: string, url?: string): Tokens {
  let token = first;
  let since = Date.now();
  let renewing: Promise<string> | undefined;
  const renewAt = () => {
    const end = claimsOf(token).exp * 1000;
    return url ? end - Math.min(ahead, (end - since) / 2) : undefined;
  };

  async function ask(address: string) {
    const response = await fetch(address, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
    if (!response.ok) throw new Error('Your session is over. Please sign in again.');
    token = (await response.json()).token;
    since = Date.now();
    return token;
  }
  const renew = async () => {
    if (!url) return token;
    renewing ??= ask(url).finally(() => { renewing = undefined; }); // one question, whoever needs the answer
    return renewing;
  };

  return { renewAt, renew, get: async () => (Date.now() < (renewAt() ?? Infinity) ? token : renew()) };
}
