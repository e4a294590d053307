// What a login would give a user: npm run -s token -- <user id>, with the JWT_SECRET of backend and Realtime. For trying things out.
import { SignJWT } from 'jose';

const { JWT_SECRET } = process.env;
const [user] = process.argv.slice(2);
if (!JWT_SECRET || !user) {
  console.error('usage: JWT_SECRET=… npm run -s token -- <user id>');
  process.exit(2);
}
console.log(await new SignJWT({ role: 'authenticated' }).setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
  .setSubject(user).setAudience('authenticated').setIssuedAt().setExpirationTime('12h').sign(new TextEncoder().encode(JWT_SECRET)));
