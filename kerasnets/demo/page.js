"use strict";
// The page sends a picture to each model, and draws the answer. A drawing or a camera frame is sent as PGM or PPM, a file
// unchanged. The page requests the probabilities first, and the feature maps after the answer; what the answer depends on
// takes more time, and is requested by a button.

const PEN = 24; // pixels of the paper's 336: the strokes of a large digit are then as thick as MNIST's
const RIM = 42; // pixels of white around a drawing: the model takes ink at the edge of a picture for a shadow
const CAMERA_SIDE = 480; // pixels of the longer side of a camera frame that is sent
const ALL_CLASSES = 12; // up to 12 classes are shown in their own order; of more classes, the likeliest ten
const LIVELY = 50; // milliseconds; feature maps that take longer are shown only when the pen is up

const $ = (selector, within = document) => within.querySelector(selector);
const paper = $("#paper");
const ink = paper.getContext("2d", { willReadFrequently: true });
const columns = [];
let picture = null; // the picture to classify: {bytes, name}
let mostBytes = 10e6;

// ---- the server ----

async function ask(path, parameters, body) {
  let response;
  try {
    response = await fetch(`${path}?${new URLSearchParams(parameters)}`, body && { method: "POST", body });
  } catch {
    throw new Error("the server does not answer; start kerasnets demo again");
  }
  if (!response.ok) {
    throw new Error((await response.json()).error);
  }
  return response;
}

const askJson = async (path, parameters = {}) => (await ask(path, parameters)).json();

// JSON and bytes in one body: see `framed_response` in server.py.
async function askFrame(path, parameters, body) {
  const buffer = await (await ask(path, parameters, body)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { about, bytes: new Uint8Array(buffer, 4 + length) };
}

// ---- a model and its answer ----

class Column {
  constructor(models, name) {
    this.element = $("#column").content.firstElementChild.cloneNode(true);
    this.models = models;
    this.asked = 0; // the number of requests so far
    this.shown = 0; // the request whose probabilities are shown
    this.underWay = 0;
    this.mapsUnderWay = false;
    this.mapsTook = 0; // milliseconds
    this.explaining = false;
    this.find(".model").append(...models.map((each) => new Option(shortName(each.name, models), each.name)));
    this.find(".model").value = name;
    this.find(".model").addEventListener("change", () => this.open(true));
    this.find(".runner").addEventListener("change", () => this.open(false));
    this.find(".why").addEventListener("click", () => this.explain());
    $("#columns").append(this.element);
    this.open(true);
  }

  find(selector) {
    return $(selector, this.element);
  }

  get which() {
    return { model: this.find(".model").value, runner: this.find(".runner").value };
  }

  // Load the chosen model. `another`: the model has changed, so its engines must be listed too.
  async open(another) {
    const turn = (this.opening = (this.opening ?? 0) + 1);
    const name = this.find(".model").value;
    if (another) {
      const runners = this.models.find((each) => each.name === name).runners;
      this.find(".runner").replaceChildren(...runners.map((each) => new Option(each)));
    }
    this.about = this.layers = null;
    this.asked += 1; // a pending answer is for another model
    this.element.dataset.state = "loading";
    this.find(".trouble").textContent = "";
    this.find(".about").textContent = `loading ${name} …`;
    this.find(".layers").replaceChildren();
    this.find(".bars").replaceChildren();
    this.find(".source").textContent = "";
    this.empty();
    try {
      const about = await askJson("model", this.which);
      if (turn !== this.opening) return;
      this.introduce(about);
    } catch (error) {
      if (turn === this.opening) this.fail(error);
      return;
    }
    this.element.dataset.state = "ready";
    this.update(null, true);
    this.find(".source").textContent = "loading the layers …";
    try {
      const found = await askJson("layers", this.which);
      if (turn !== this.opening) return;
      this.prepareLayers(found);
      this.element.dataset.layers = "ready";
      this.updateMaps(null);
    } catch (error) {
      if (turn === this.opening) this.find(".source").textContent = `No feature maps: ${error.message}`;
    }
  }

  introduce(about) {
    this.about = about;
    const parts = [about.network, about.dataset && `trained on ${about.dataset}`];
    if (about.accuracy) parts.push(`test accuracy ${percent(about.accuracy)}`);
    parts.push(`${about.runner}${/^keras|^tensorflow/.test(about.runner) ? "" : ", no framework"}`);
    this.find(".about").textContent = parts.filter(Boolean).join(" · ") + (about.note ? `. ${about.note}` : "");
    const shown = Math.min(about.classes.length, about.classes.length > ALL_CLASSES ? 10 : ALL_CLASSES);
    this.bars = Array.from({ length: shown }, (_, i) => {
      const row = document.createElement("li");
      row.innerHTML = '<span class="label"></span><span class="bar"><i></i></span><span class="value"></span>';
      const [label, bar, value] = row.children;
      label.textContent = about.classes[i];
      return { row, label, bar: bar.firstChild, value };
    });
    const list = this.find(".bars");
    list.classList.toggle("named", about.classes.some((name) => name.length > 3));
    list.replaceChildren(...this.bars.map((bar) => bar.row));
  }

  // Request the probabilities. `start`: the time at which the picture was finished, null for a camera; `final`: the pen
  // is up.
  async update(start, final) {
    if (!picture || !this.about) return;
    const turn = ++this.asked;
    const { opening } = this;
    this.underWay += 1;
    try {
      const reply = await askFrame("predict", { ...this.which, picture: picture.name }, picture.bytes);
      if (turn < this.shown || opening !== this.opening) return;
      this.shown = turn;
      this.seen = { pixels: reply.bytes, shape: reply.about.shape };
      this.show(reply.about.probabilities, reply.about.doubt, final && start !== null);
      if (final) this.measure("probabilities", start);
      if (turn === this.asked && (final || this.mapsTook < LIVELY)) this.updateMaps(start, final);
    } catch (error) {
      if (turn === this.asked && opening === this.opening) {
        this.shown = turn;
        this.empty();
        this.fail(error);
      }
    } finally {
      this.underWay -= 1;
    }
  }

  show(probabilities, doubt, spoken) {
    const { classes } = this.about;
    let order = probabilities.map((_, i) => i);
    const likeliest = order.reduce((best, i) => (probabilities[i] > probabilities[best] ? i : best));
    if (classes.length > ALL_CLASSES) order.sort((a, b) => probabilities[b] - probabilities[a]);
    this.bars.forEach((bar, place) => {
      const i = order[place];
      bar.label.textContent = bar.label.title = classes[i];
      bar.bar.style.transform = `scaleX(${probabilities[i]})`;
      bar.value.textContent = percent(probabilities[i]);
      bar.row.classList.toggle("likeliest", i === likeliest);
    });
    this.find(".trouble").textContent = "";
    this.likeliest = likeliest;
    this.find(".why").disabled = this.explaining;
    this.find(".reasons").replaceChildren(); // of another picture
    const answer = this.find(".answer");
    answer.textContent = classes[likeliest];
    answer.classList.toggle("long", classes[likeliest].length > 3);
    const share = percent(probabilities[likeliest]) + (doubt ? `, ${doubt}` : "");
    this.find(".share").textContent = share;
    this.element.dataset.answer = classes[likeliest];
    if (spoken) {
      this.find(".spoken").textContent = `${classes[likeliest]}, ${share}`;
    }
    const [height, width, channels] = this.seen.shape;
    drawPixels(this.find(".seen"), this.seen.pixels, height, width, channels);
  }

  // Request the maps of the places that the answer depends on, and draw the network's input with each.
  async explain() {
    stopFilming(); // a moving picture would be gone before its reasons come
    const { seen, likeliest } = this;
    const button = this.find(".why");
    this.explaining = true;
    button.disabled = true;
    button.textContent = "…";
    try {
      const asked = { ...this.which, shape: seen.shape.join("x"), class: likeliest };
      const reply = await askFrame("explain", asked, seen.pixels);
      if (seen !== this.seen) return;
      let place = 0;
      const figures = reply.about.methods.map(({ method, height, width }) => {
        const heat = reply.bytes.subarray(place, (place += height * width));
        const figure = reasonElement(method);
        drawHeat($("canvas", figure), seen.pixels, heat, seen.shape);
        return figure;
      });
      this.find(".reasons").replaceChildren(...figures);
    } catch (error) {
      if (seen === this.seen) this.find(".trouble").textContent = error.message;
    } finally {
      this.explaining = false;
      button.textContent = "Why?";
      button.disabled = !this.seen;
    }
  }

  prepareLayers({ layers, left_out, file, backend }) {
    this.layers = layers.map((layer) => ({ ...layer, canvases: [], element: layerElement(layer) }));
    this.find(".layers").replaceChildren(...this.layers.map((layer) => layer.element));
    const left = left_out ? ` ${left_out} layers in between are left out.` : "";
    const by = this.which.model.endsWith(file) ? "Computed by" : `Computed from ${file} by`;
    this.find(".source").textContent =
      `${by} keras on ${backend}. Each map has its own scale, from dark (smallest value) to light (largest).${left}`;
  }

  // Request the feature maps of the network's input: one request at a time, and another one if the input has changed.
  async updateMaps(start, final = true) {
    if (!this.layers || !this.seen) return;
    if (this.mapsUnderWay) {
      this.mapsWanted = { start, final };
      return;
    }
    this.mapsUnderWay = true;
    const { seen, layers } = this;
    const begun = performance.now();
    try {
      const reply = await askFrame("maps", { ...this.which, shape: seen.shape.join("x") }, seen.pixels);
      if (layers === this.layers && this.seen) {
        this.showMaps(reply);
        this.mapsTook = performance.now() - begun;
        if (final && seen === this.seen) this.measure("maps", start);
      }
    } catch (error) {
      if (layers === this.layers) this.find(".source").textContent = `No feature maps: ${error.message}`;
    } finally {
      this.mapsUnderWay = false;
      const wanted = this.mapsWanted;
      this.mapsWanted = null;
      if (wanted) this.updateMaps(wanted.start, wanted.final);
    }
  }

  showMaps({ about, bytes }) {
    let place = 0;
    about.layers.forEach(({ maps, height, width, smallest, largest }, i) => {
      const layer = this.layers[i];
      if (layer.canvases.length !== maps) {
        layer.canvases = Array.from({ length: maps }, () => document.createElement("canvas"));
        const holder = $(".maps", layer.element);
        holder.style.setProperty("--ratio", `${width} / ${height}`);
        holder.classList.toggle("units", layer.shape.length === 1);
        holder.replaceChildren(...layer.canvases);
      }
      for (const canvas of layer.canvases) {
        drawMap(canvas, bytes.subarray(place, place + height * width), height, width);
        place += height * width;
      }
      $(".range", layer.element).textContent = ` · ${brief(smallest)} to ${brief(largest)}`;
    });
    this.element.dataset.maps = "shown";
  }

  // Remove the answer.
  empty() {
    this.seen = null;
    this.find(".why").disabled = true;
    this.find(".reasons").replaceChildren();
    this.find(".answer").textContent = "–";
    this.find(".answer").classList.remove("long");
    this.find(".share").textContent = this.find(".spoken").textContent = "";
    delete this.element.dataset.answer;
    delete this.element.dataset.maps;
    for (const bar of this.about ? this.bars : []) {
      bar.bar.style.transform = "scaleX(0)";
      bar.value.textContent = "";
      bar.row.classList.remove("likeliest");
    }
    for (const canvas of this.element.querySelectorAll("canvas")) {
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    }
    for (const range of this.element.querySelectorAll(".range")) range.textContent = "";
  }

  clear() {
    this.asked += 1;
    this.shown = this.asked;
    this.mapsWanted = null;
    if (this.about) this.find(".trouble").textContent = "";
    this.empty();
  }

  fail(error) {
    this.find(".trouble").textContent = error.message;
    if (!this.about) {
      this.element.dataset.state = "failed";
      this.find(".about").textContent = "";
    }
  }

  // Record how long a person waited, for tests/demo/test_page.py.
  measure(what, start) {
    if (start === null) return;
    performance.measure(what, { start, end: performance.now(), detail: { column: columns.indexOf(this) } });
  }
}

function layerElement({ name, kind, shape }) {
  const element = document.createElement("section");
  element.className = "layer";
  element.innerHTML = '<h3><b></b> <span class="form"></span><span class="range"></span></h3><div class="maps" role="img"></div>';
  const channels = shape.at(-1);
  const cut = shape.length === 3 && channels > 16 ? ` · first 16 of ${channels}` : "";
  $("b", element).textContent = name;
  $(".form", element).textContent = `${kind} · ${shape.join("×")}${cut}`;
  $(".maps", element).setAttribute("aria-label", `${shape.length === 3 ? "Feature maps" : "Values"} of ${name}`);
  return element;
}

function reasonElement(method) {
  const element = document.createElement("figure");
  element.innerHTML = '<canvas role="img"></canvas><figcaption></figcaption>';
  const words = { "Grad-CAM": "the last feature maps that speak for the answer", occlusion: "where covering changes it" };
  $("canvas", element).setAttribute("aria-label", `What the answer depends on, by ${method}`);
  $("figcaption", element).textContent = `${method}: ${words[method]}`;
  return element;
}

// The name of a model without its folder, unless two models have the same.
function shortName(name, models) {
  const end = (path) => path.split("/").at(-1);
  return models.filter((each) => end(each.name) === end(name)).length > 1 ? name : end(name);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function brief(number) {
  return number !== 0 && Math.abs(number) < 0.001 ? number.toExponential(1) : String(Number(number.toPrecision(3)));
}

// ---- pixels ----

// matplotlib's viridis at nine places, interpolated linearly
const VIRIDIS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"];
const COLOURS = new Uint32Array(256);
COLOURS.forEach((_, level) => {
  const place = Math.min((level / 255) * 8, 7.999);
  const [low, high] = [VIRIDIS[Math.floor(place)], VIRIDIS[Math.floor(place) + 1]];
  const channel = (i) => {
    const [a, b] = [low, high].map((colour) => parseInt(colour.slice(2 * i, 2 * i + 2), 16));
    return Math.round(a + (b - a) * (place % 1));
  };
  COLOURS[level] = (255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0); // little-endian RGBA
});

function drawMap(canvas, levels, height, width) {
  sized(canvas, height, width);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < levels.length; i++) pixels[i] = COLOURS[levels[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawPixels(canvas, values, height, width, channels) {
  sized(canvas, height, width);
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = values[channels * i + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The network's input, orange where the answer depends on it.
function drawHeat(canvas, values, heat, [height, width, channels]) {
  drawPixels(canvas, values, height, width, channels);
  const context = canvas.getContext("2d");
  const image = context.getImageData(0, 0, width, height);
  heat.forEach((level, i) => {
    const share = (0.75 * level) / 255;
    [255, 122, 0].forEach((orange, c) => {
      image.data[4 * i + c] += share * (orange - image.data[4 * i + c]);
    });
  });
  context.putImageData(image, 0, 0);
}

function sized(canvas, height, width) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

// A picture file from RGBA pixels: PGM of the red channel, or PPM of all three.
function asFile({ data, width, height }, channels) {
  const head = new TextEncoder().encode(`P${channels === 1 ? 5 : 6} ${width} ${height} 255\n`);
  const bytes = new Uint8Array(head.length + width * height * channels);
  bytes.set(head);
  let place = head.length;
  for (let i = 0; i < data.length; i += 4) {
    for (let c = 0; c < channels; c++) bytes[place++] = data[i + c];
  }
  return bytes;
}

// ---- drawing ----

let last = null; // the place of the pen; null: the pen is up
let drawing = false; // whether the paper shows a drawing
let waiting = false; // the stroke so far will be classified in the next animation frame

function wipe() {
  ink.fillStyle = "white";
  ink.fillRect(0, 0, paper.width, paper.height);
  drawing = false;
  paper.classList.add("drawn");
}

function placeOf(event) {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left) * paper.width) / box.width, ((event.clientY - box.top) * paper.height) / box.height];
}

function drawTo(place) {
  ink.strokeStyle = "black";
  ink.lineWidth = PEN;
  ink.lineCap = ink.lineJoin = "round";
  ink.beginPath();
  ink.moveTo(...last);
  ink.lineTo(...place);
  ink.stroke();
  ink.fillStyle = "black";
  ink.beginPath();
  ink.arc(...place, PEN / 2, 0, 2 * Math.PI); // some browsers draw nothing for a line of no length, which a dot is
  ink.fill();
  last = place;
}

function takeDrawing() {
  const image = ink.getImageData(-RIM, -RIM, paper.width + 2 * RIM, paper.height + 2 * RIM);
  for (let i = 0; i < image.data.length; i += 4) {
    if (image.data[i + 3] === 0) image.data[i] = 255; // beyond the paper
  }
  picture = { bytes: asFile(image, 1), name: "the drawing" };
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  event.preventDefault();
  paper.setPointerCapture(event.pointerId);
  if (!drawing) {
    clear();
    drawing = true;
    $("#hint").hidden = true;
    tell("");
  }
  last = placeOf(event);
  drawTo(last); // a dot
});

paper.addEventListener("pointermove", (event) => {
  if (!last) return;
  for (const each of event.getCoalescedEvents?.() ?? []) drawTo(placeOf(each));
  drawTo(placeOf(event));
  if (waiting || columns.some((column) => column.underWay)) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!last) return;
    takeDrawing();
    columns.forEach((column) => column.update(performance.now(), false));
  });
});

function penUp() {
  if (!last) return;
  const start = performance.now();
  last = null;
  takeDrawing();
  columns.forEach((column) => column.update(start, true));
}

paper.addEventListener("pointerup", penUp);
paper.addEventListener("pointercancel", penUp);

function clear() {
  stopCamera();
  picture = null;
  wipe();
  $("#hint").hidden = false;
  tell("");
  $("#name").textContent = "Drop a picture anywhere on this page, or paste one.";
  columns.forEach((column) => column.clear());
}

$("#clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});

// ---- pictures ----

function tell(message) {
  $("#message").textContent = message;
}

async function take(file) {
  const start = performance.now();
  clear();
  if (file.size > mostBytes) {
    tell(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; the limit is ${mostBytes / 1e6} MB`);
    return;
  }
  try {
    picture = { bytes: new Uint8Array(await file.arrayBuffer()), name: file.name || "the picture" };
  } catch {
    tell(`${file.name} cannot be read; is it a folder?`);
    return;
  }
  $("#hint").hidden = true;
  $("#name").textContent = picture.name;
  columns.forEach((column) => column.update(start, true));
  try {
    showOnPaper(await createImageBitmap(file));
  } catch {
    $("#name").textContent = `${picture.name}, which this browser cannot show`;
  }
}

// Show a whole picture on the paper.
function showOnPaper(image) {
  const [width, height] = [image.videoWidth || image.width, image.videoHeight || image.height];
  const scale = Math.min(paper.width / width, paper.height / height);
  paper.classList.remove("drawn");
  ink.clearRect(0, 0, paper.width, paper.height);
  ink.imageSmoothingEnabled = scale < 1;
  ink.drawImage(image, (paper.width - width * scale) / 2, (paper.height - height * scale) / 2, width * scale, height * scale);
}

$("#choose").addEventListener("click", () => $("#file").click());
$("#file").addEventListener("change", (event) => {
  if (event.target.files.length) take(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("#drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("#drop").hidden = true;
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("#drop").hidden = true;
  const { files } = event.dataTransfer;
  if (files.length === 1) take(files[0]);
  else tell(files.length ? `${files.length} files were dropped; drop one picture` : "no file was dropped; save the picture as a file first");
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files[0]);
});

// ---- camera ----

const video = $("#video");
const frame = document.createElement("canvas");
let filming = 0; // the number of the current start; 0 while the camera is off
let filmed = 0; // how often the camera was started

async function startCamera() {
  clear();
  const turn = (filming = ++filmed);
  $("#camera").setAttribute("aria-pressed", "true");
  try {
    if (!navigator.mediaDevices) throw new Error("this browser offers none");
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (filming !== turn) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    if (filming !== turn) return;
    stopCamera();
    const known = { NotFoundError: "none was found", NotAllowedError: "this page may not use it", NotReadableError: "another program uses it" };
    tell(`no camera: ${known[error.name] ?? error.message}`);
    return;
  }
  $("#hint").hidden = true;
  video.hidden = false;
  $("#name").textContent = "the camera; press the button again to keep the picture";
  while (filming === turn) {
    takeFrame();
    await Promise.all(columns.map((column) => column.update(null, true)));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function takeFrame() {
  const scale = Math.min(1, CAMERA_SIDE / Math.max(video.videoWidth, video.videoHeight));
  sized(frame, Math.round(video.videoHeight * scale), Math.round(video.videoWidth * scale));
  const context = frame.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, frame.width, frame.height);
  picture = { bytes: asFile(context.getImageData(0, 0, frame.width, frame.height), 3), name: "the camera" };
}

function stopCamera() {
  filming = 0;
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  video.hidden = true;
  $("#camera").setAttribute("aria-pressed", "false");
}

$("#camera").addEventListener("click", () => {
  if (filming) stopFilming();
  else startCamera();
});

// Turn the camera off and keep its last picture.
function stopFilming() {
  if (!filming) return;
  const seen = !video.hidden;
  if (seen) showOnPaper(video);
  stopCamera();
  if (seen) $("#name").textContent = "a picture from the camera";
}

// ---- the columns ----

const stemOf = (name) => name.replace(/\.\w+$/, "");

$("#beside").addEventListener("change", (event) => {
  if (event.target.checked) {
    const first = columns[0].which.model;
    const others = columns[0].models.map((each) => each.name).filter((name) => name !== first);
    const twins = others.filter((name) => stemOf(name) === stemOf(first));
    const beside = twins.find((name) => name.endsWith(".keras")) ?? twins[0] ?? others[0] ?? first;
    columns.push(new Column(columns[0].models, beside));
  } else {
    columns.pop().element.remove();
  }
  document.body.classList.toggle("two", event.target.checked);
});

async function begin() {
  wipe();
  try {
    const { models, first, most } = await askJson("models");
    mostBytes = most;
    columns.push(new Column(models, first));
  } catch (error) {
    tell(error.message);
  }
}

begin();
