// The page: takes a photograph, hands it to the worker, shows the result.
const $ = (id) => document.getElementById(id);
const settings = globalThis.SETTINGS;
const base = new URL("./", document.baseURI).href;
let waiting = 1; // tasks of the worker that are not done: the first is to load the network

const handlers = {
  progress({ text, fraction }) {
    say(`${text} ...`);
    $("progress").value = fraction;
  },
  colorized({ name, before, after }) {
    draw($("before"), before);
    draw($("after"), after);
    $("result").style.setProperty("--width", after.width); // before close(), after which it is 0
    $("result").style.setProperty("--height", after.height);
    before.close();
    after.close();
    $("result").hidden = false;
    split(50);
    say(`Colored ${name}. Colors are plausible guesses, not those that were there.`);
  },
  encoded({ name, blob }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name.replace(/\.[^.]*$/, "")}-colorized.${blob.type === "image/jpeg" ? "jpg" : "png"}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`Saved ${link.download}.`);
  },
  done({ of }) {
    if (of === "open") say("Ready. The photograph stays on this device.");
    busy(-1);
  },
  failed({ of, name, text }) {
    const what = { open: "The network cannot be loaded", colorize: `${name} cannot be colored`, encode: "Not saved" };
    say(`${what[of]}: ${text}.`, true);
    busy(-1);
  },
};

function start() {
  // A worker from a file would have no policy; one from a blob: inherits that of this page, which lets nothing out.
  const code = `importScripts(${JSON.stringify(base + "worker.js")})`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => handlers[data.kind](data);
  worker.onerror = ({ message }) => handlers.failed({ of: "open", text: message || "this browser refuses its worker" });
  worker.postMessage({ kind: "open", settings: { ...settings, base } });
  return worker;
}

function busy(more) {
  waiting = Math.max(0, waiting + more);
  $("progress").hidden = waiting === 0;
  $("result").setAttribute("aria-busy", waiting > 0);
}

function say(text, wrong = false) {
  if ($("status").textContent !== text) $("status").textContent = text; // said once by screen readers
  $("status").classList.toggle("wrong", wrong);
}

function draw(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

function split(percent) {
  $("split").value = percent;
  $("compare").style.setProperty("--split", `${percent}%`);
}

function take(files) {
  const file = [...files].find(({ type }) => type.startsWith("image/"));
  if (!file) return say("That is no photograph: give a JPEG, PNG, WebP or another image that this browser shows.", true);
  ask({ kind: "colorize", file });
}

for (const id of ["file", "camera"]) {
  $(id).addEventListener("change", ({ target }) => {
    if (target.files.length) take(target.files);
    target.value = ""; // the same file again is a change too
  });
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("over"); // it has left the window
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files);
});
addEventListener("paste", ({ clipboardData }) => clipboardData.files.length && take(clipboardData.files));
$("split").addEventListener("input", ({ target }) => split(target.value));
$("save").addEventListener("click", () => ask({ kind: "encode" }));

// A photograph from a camera. Phones and tablets open their own camera application for an input with `capture`, and only
// their browsers know that attribute; elsewhere the page shows what the camera sees, and takes a picture of that.
async function offerCamera() {
  const own = "capture" in HTMLInputElement.prototype;
  $("camera").parentElement.hidden = !own;
  const devices = own ? [] : ((await navigator.mediaDevices?.enumerateDevices()) ?? []); // undefined on plain http
  $("look").hidden = !devices.some(({ kind }) => kind === "videoinput");
}

async function look() {
  $("look").disabled = true;
  try {
    const video = { facingMode: "environment", width: { ideal: 3840 }, height: { ideal: 2160 } };
    $("view").srcObject = await navigator.mediaDevices.getUserMedia({ video });
    $("viewfinder").showModal();
  } catch (error) {
    say(`The camera cannot be used: ${error.message.replace(/\.$/, "")}.`, true);
  }
  $("look").disabled = false;
}

async function shoot() {
  const view = $("view");
  const canvas = new OffscreenCanvas(view.videoWidth, view.videoHeight);
  canvas.getContext("2d").drawImage(view, 0, 0);
  $("viewfinder").close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  take([new File([blob], "photograph.jpg", { type: blob.type })]);
}

$("look").addEventListener("click", look);
$("shoot").addEventListener("click", shoot);
$("cancel").addEventListener("click", () => $("viewfinder").close());
$("view").addEventListener("loadeddata", () => {
  $("shoot").disabled = false;
  $("shoot").focus();
});
$("viewfinder").addEventListener("close", () => {
  for (const track of $("view").srcObject.getTracks()) track.stop(); // its light goes out
  $("view").srcObject = null;
  $("shoot").disabled = true;
});
navigator.mediaDevices?.addEventListener("devicechange", offerCamera);
offerCamera();

// Pages of plain http have no service worker, localhost excepted; they work as long as their server does.
async function keep() {
  if (!navigator.serviceWorker) return;
  const controlled = new Promise((go) => navigator.serviceWorker.addEventListener("controllerchange", go));
  await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
  if (!navigator.serviceWorker.controller) await Promise.race([controlled, new Promise((go) => setTimeout(go, 3000))]);
}
$("served").remove();
$("tool").hidden = false;
// First the service worker, so that the network is fetched through it: once, and kept.
const started = keep()
  .catch((error) => console.warn(`works online only: ${error.message}`))
  .then(start);

async function ask(task) {
  busy(1);
  (await started).postMessage(task);
}
