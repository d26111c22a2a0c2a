// Everything that takes time: decoding, the network, the join, encoding. A classic worker, because LiteRT.js calls
// importScripts(), which module workers do not have.
let color, litert, model, settings, result;

// Fetches a file whole, telling how far it is; what is gzipped is unpacked, unless the server has done so.
async function load(name) {
  const answer = await fetch(new URL(name, settings.base));
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
  const parts = [];
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    settings.loaded += value.length;
    report("Loading the network", Math.min(1, settings.loaded / settings.bytes));
  }
  const file = new Blob(parts);
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const packed = first === 0x1f && second === 0x8b;
  const stream = packed ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open(given) {
  settings = { ...given, loaded: 0 };
  const at = (name) => new URL(name, settings.base).href;
  [color, litert] = await Promise.all([import(at("color.js")), import(at("litert/index.js"))]);
  const [wasmBinary, network] = [await load(`${settings.wasm}.wasm.gz`), await load(settings.model)];
  self.Module = { wasmBinary }; // Emscripten's own hook: it does not fetch then
  await litert.loadLiteRt(at(`${settings.wasm}.js`));
  // On the CPU, one thread: threads would need the headers COOP and COEP, which many servers of static files cannot set.
  model = await litert.loadAndCompile(network, { accelerator: "wasm" });
}

// ab of one square: L of side * side pixels -> a and b in turn.
async function predict(L) {
  const input = new litert.Tensor(L, [1, settings.side, settings.side, 1]);
  const [output] = await model.run([input]);
  const ab = output.toTypedArray().slice(); // the tensor's memory ends with it
  input.delete();
  output.delete();
  return ab;
}

async function colorize(file) {
  if (!model) throw new Error("there is no network");
  report("Reading the photograph", 0);
  // Upright: browsers apply the EXIF orientation.
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("this browser cannot decode it"); // its own words say less
  });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);

  const size = color.networkSize(width, height, settings);
  const reduction = new color.Reduction(width, height, size);
  let seen = false;
  for (const [top, rows] of strips(width, height)) {
    const { data } = context.getImageData(0, top, width, rows);
    reduction.add(data, rows);
    for (let i = 3; i < data.length && !seen; i += 4) seen = data[i] > 0;
  }
  // A canvas beyond the browser's limit draws nothing, and says nothing.
  if (!seen) throw new Error(`${width} x ${height} pixels are more than this browser can draw`);

  const L = color.lightness(reduction.finish());
  const parts = [];
  const places = color.tiles(...size, settings.side);
  for (const place of places) {
    report("Choosing colors", 0.2 + (0.4 * parts.length) / places.length);
    parts.push({ ...place, ab: await predict(color.cut(L, ...size, place, settings.side)) });
  }
  const field = color.blend(...size, settings.side, parts);
  if (!field.every(Number.isFinite)) throw new Error("the network predicts NaN; its training has failed");

  for (const [top, rows] of strips(width, height)) {
    report("Coloring", 0.6 + (0.4 * top) / height);
    const image = context.getImageData(0, top, width, rows);
    color.join(image.data, top, rows, width, height, field, size);
    context.putImageData(image, 0, top);
  }
  result = { canvas, name: file.name, type: file.type === "image/jpeg" ? "image/jpeg" : "image/png" };
  const after = await createImageBitmap(canvas);
  postMessage({ kind: "colorized", name: file.name, before: bitmap, after }, [bitmap, after]);
}

// [first row, rows] of parts of about a megapixel: buffers that any phone has.
function* strips(width, height) {
  const step = Math.max(1, Math.floor(2 ** 20 / width));
  for (let top = 0; top < height; top += step) yield [top, Math.min(step, height - top)];
}

async function encode() {
  const { canvas, name, type } = result;
  postMessage({ kind: "encoded", name, blob: await canvas.convertToBlob({ type, quality: 0.95 }) });
}

function report(text, fraction) {
  postMessage({ kind: "progress", text, fraction });
}

const tasks = { open: (data) => open(data.settings), colorize: (data) => colorize(data.file), encode };
let last = Promise.resolve(); // one task after the other
self.onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      await tasks[data.kind](data);
      postMessage({ kind: "done", of: data.kind });
    } catch (error) {
      postMessage({ kind: "failed", of: data.kind, name: data.file?.name, text: error.message });
    }
  });
};
