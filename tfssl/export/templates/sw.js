// The page without a network: every file of it is kept as it is fetched the first time. The version, a fingerprint of
// all of them, is in settings.js; with another one browsers install this worker anew, and old files are dropped.
importScripts("settings.js");

const PREFIX = `tfssl ${self.registration.scope} `; // several pages may share a server
const CACHE = PREFIX + SETTINGS.version;
const FRESH = { cache: "no-cache" }; // not what the browser keeps of an earlier version

self.addEventListener("install", (event) => {
  self.skipWaiting();
  // The small files only: the network comes through fetch below, where its progress is seen, and once.
  const files = ["./", ...SETTINGS.page].map((name) => new Request(name, FRESH));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)));
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith(PREFIX) && name !== CACHE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) event.respondWith(answer(event));
});

async function answer(event) {
  const { request } = event;
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const fetched = await fetch(request, FRESH);
  if (fetched.status === 200) event.waitUntil(cache.put(request, fetched.clone()));
  return fetched;
}
