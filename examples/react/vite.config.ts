import react from '@vitejs/plugin-react';
import { defineConfig, loadEnv } from 'vite';

// One origin for the page, the backend and Realtime: no CORS, and one address to open.
export default defineConfig(({ mode }) => {
  const env = loadEnv(mode, '.', '');
  const proxy = {
    '/api': { target: env.BACKEND_URL ?? 'http://127.0.0.1:3000' },
    '/socket.io': { target: env.SOCKET_URL ?? 'http://127.0.0.1:3000', ws: true },
    '/realtime': { target: env.REALTIME_URL ?? 'http://127.0.0.1:4000', ws: true },
  };
  return { plugins: [react()], server: { proxy }, preview: { proxy } };
});
